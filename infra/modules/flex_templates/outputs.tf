output "templates" {
  description = "Of each job that has one, its template as gs://...: what DataflowStartFlexTemplateOperator takes as containerSpecGcsPath."
  value       = { serve = "gs://${google_storage_bucket_object.serve.bucket}/${google_storage_bucket_object.serve.name}" }
}
