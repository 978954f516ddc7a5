output "project" {
  description = "The project's id, known only once its APIs are on: whoever takes the id from here waits for them."
  value       = var.project
  depends_on  = [google_project_service.this]
}

output "services" {
  description = "The APIs that are on."
  value       = sort([for service in google_project_service.this : service.service])
}
