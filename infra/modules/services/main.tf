resource "google_project_service" "this" {
  for_each = var.services

  project = var.project
  service = each.value

  # Other things in the project may use the API too; a destroy must not take it from them
  disable_on_destroy = false
}
