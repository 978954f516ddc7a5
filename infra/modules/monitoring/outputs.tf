output "channels" {
  description = "Ids of the notification channels, for others who have something to tell (the budget)."
  value       = local.channels
}

output "policies" {
  description = "Names of the alerts, sorted."
  value = sort(concat(
    [for policy in google_monitoring_alert_policy.threshold : policy.display_name],
    [google_monitoring_alert_policy.dead_letters.display_name],
  ))
}
