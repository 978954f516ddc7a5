output "uri" {
  description = "Address of the server: what MLFLOW_TRACKING_URI holds."
  value       = google_cloud_run_v2_service.this.uri
}
