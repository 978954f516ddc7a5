output "emails" {
  description = "E-mail address of each account: airflow, launcher, worker, mlflow."
  value       = { for name, account in google_service_account.this : name => account.email }
}

output "members" {
  description = "Each account as a member of a grant: serviceAccount:..."
  value       = { for name, account in google_service_account.this : name => account.member }
}

output "names" {
  description = "Full resource name of each account."
  value       = { for name, account in google_service_account.this : name => account.name }
}
