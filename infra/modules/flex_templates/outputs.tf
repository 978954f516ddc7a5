output "templates" {
  description = "Of each job, its template as gs://...: what DataflowStartFlexTemplateOperator takes as containerSpecGcsPath."
  value       = { for job, object in google_storage_bucket_object.template : job => "gs://${object.bucket}/${object.name}" }
}
