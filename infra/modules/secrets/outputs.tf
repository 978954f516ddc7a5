output "names" {
  description = "The secrets' names; each wants a value before anything that reads it starts."
  value       = sort([for secret in google_secret_manager_secret.this : secret.secret_id])
}
