output "topics" {
  description = "Per fleet, the full names of its topics: requests, answers, dead_letters."
  value = {
    for fleet in keys(var.fleets) : fleet => {
      for kind in ["requests", "answers", "dead-letters"] :
      replace(kind, "-", "_") => "projects/${var.project}/topics/${google_pubsub_topic.this["${fleet}-${kind}"].name}"
    }
  }
}

output "subscriptions" {
  description = "Per fleet, the full names of its subscriptions: requests (of the serving job), releases (its notices), answers, dead_letters."
  value = {
    for fleet in keys(var.fleets) : fleet => {
      requests     = "projects/${var.project}/subscriptions/${google_pubsub_subscription.requests[fleet].name}"
      releases     = "projects/${var.project}/subscriptions/${google_pubsub_subscription.notices[fleet].name}"
      answers      = "projects/${var.project}/subscriptions/${google_pubsub_subscription.reader["${fleet}-answers"].name}"
      dead_letters = "projects/${var.project}/subscriptions/${google_pubsub_subscription.reader["${fleet}-dead-letters"].name}"
    }
  }
}

output "notice_topic" {
  description = "Full name of the topic that is told of new releases."
  value       = "projects/${var.project}/topics/${google_pubsub_topic.notices.name}"
}

output "undelivered_subscription" {
  description = "Name of the subscription that holds what nobody took; an alert watches it."
  value       = google_pubsub_subscription.undelivered.name
}
