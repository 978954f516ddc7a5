output "predictions" {
  description = "Of each fleet, the table of its answers as project.dataset.table, known only once its writers may write."
  value       = { for fleet, table in google_bigquery_table.predictions : fleet => "${table.project}.${table.dataset_id}.${table.table_id}" }
  depends_on  = [google_bigquery_dataset_iam_member.writer]
}

output "evaluation" {
  description = "Of each fleet, the table of its evaluations as project.dataset.table."
  value       = { for fleet, table in google_bigquery_table.evaluation : fleet => "${table.project}.${table.dataset_id}.${table.table_id}" }
}
