output "names" {
  description = "Name of each bucket: home, staging, templates, artifacts, data-docs, dags."
  value       = { for key, bucket in google_storage_bucket.this : key => bucket.name }
}

output "home" {
  description = "The home folder of all fleets, as a URI."
  value       = "gs://${google_storage_bucket.this["home"].name}"
}
