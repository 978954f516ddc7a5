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

output "serving" {
  description = "Per fleet, the parts of the section serving of its spec that say where requests come from, where answers go, and where releases are told of."
  value = {
    for fleet in keys(var.fleets) : fleet => {
      source = {
        kind         = "pubsub"
        subscription = "projects/${var.project}/subscriptions/${google_pubsub_subscription.requests[fleet].name}"
      }
      sink = {
        kind         = "pubsub"
        answers      = "projects/${var.project}/topics/${google_pubsub_topic.this["${fleet}-answers"].name}"
        dead_letters = "projects/${var.project}/topics/${google_pubsub_topic.this["${fleet}-dead-letters"].name}"
      }
      updates = "event"
      notices = {
        kind         = "pubsub"
        topic        = "projects/${var.project}/topics/${google_pubsub_topic.notices.name}"
        subscription = "projects/${var.project}/subscriptions/${google_pubsub_subscription.notices[fleet].name}"
      }
    }
  }
}

output "notice_topic" {
  description = "Id of the topic that is told of new releases."
  value       = google_pubsub_topic.notices.id
}

output "undelivered_subscription" {
  description = "Name of the subscription that holds what nobody took; an alert watches it."
  value       = google_pubsub_subscription.undelivered.name
}
