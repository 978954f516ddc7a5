output "package_index" {
  description = "What pip installs from: our packages, then PyPI's."
  value       = "https://${google_artifact_registry_repository.python.location}-python.pkg.dev/${var.project}/${google_artifact_registry_repository.python.repository_id}/simple/"
}

output "package_upload" {
  description = "Where wheels are uploaded to, as `twine upload --repository-url` takes it."
  value       = "https://${google_artifact_registry_repository.packages.location}-python.pkg.dev/${var.project}/${google_artifact_registry_repository.packages.repository_id}/"
}

output "prefix" {
  description = "What an image's name begins with, without the last slash."
  value       = "${google_artifact_registry_repository.this.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
}
