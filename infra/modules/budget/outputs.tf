output "name" {
  description = "The budget's name as the console shows it."
  value       = google_billing_budget.this.display_name
}
