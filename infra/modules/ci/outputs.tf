output "provider" {
  description = "Full name of the identity provider, for the workflow's sign-in step."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "planner" {
  description = "E-mail address of the account that plans."
  value       = google_service_account.planner.email
}

output "deployer" {
  description = "E-mail address of the account that deploys."
  value       = google_service_account.deployer.email
}

output "deployer_member" {
  description = "The account that deploys, as a member of a grant."
  value       = google_service_account.deployer.member
}
