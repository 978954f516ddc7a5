output "connection_name" {
  description = "The instance, as the Cloud SQL proxy takes it."
  value       = google_sql_database_instance.this.connection_name
}

output "instance" {
  description = "The instance's name."
  value       = google_sql_database_instance.this.name
}

output "users" {
  description = "Of each database, its user: what a GRANT names."
  value       = { for name, user in google_sql_user.this : name => user.name }
}
