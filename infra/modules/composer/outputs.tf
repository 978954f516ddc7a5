output "name" {
  description = "Name of the environment, for gcloud composer and for the alerts."
  value       = google_composer_environment.this.name
}

output "airflow_uri" {
  description = "Address of Airflow's pages."
  value       = google_composer_environment.this.config[0].airflow_uri
}
