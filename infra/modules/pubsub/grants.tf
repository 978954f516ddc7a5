locals {
  worker_topics = merge([
    for who, member in var.workers : {
      for name, topic in local.topics : "${name}-${who}" => { topic = name, member = member } if topic.kind != "requests"
    }
  ]...)
  served_subscriptions = merge([
    for fleet in keys(var.fleets) : {
      "${fleet}-requests" = google_pubsub_subscription.requests[fleet].name
      "${fleet}-releases" = google_pubsub_subscription.notices[fleet].name
    }
  ]...)
  worker_subscriptions = merge([
    for who, member in var.workers : {
      for key, name in local.served_subscriptions : "${key}-${who}" => { name = name, member = member }
    }
  ]...)
  promoter_topics = merge([
    for who, member in var.promoters : {
      for name, topic in local.topics : "${name}-${who}" => { topic = name, member = member } if topic.kind != "requests"
    }
  ]...)
  promoter_subscriptions = merge([
    for who, member in var.promoters : {
      for key, name in local.served_subscriptions : "${key}-${who}" => { name = name, member = member }
    }
  ]...)
  client_topics = merge([
    for who, member in var.clients : {
      for name, topic in local.topics : "${name}-${who}" => { topic = name, member = member } if topic.kind == "requests"
    }
  ]...)
  client_subscriptions = merge([
    for who, member in var.clients : {
      for name in keys(local.readers) : "${name}-${who}" => { name = google_pubsub_subscription.reader[name].name, member = member }
    }
  ]...)
  # Pub/Sub itself takes from these and passes on to the topic of undelivered messages
  forwarded = merge(
    { for name in keys(local.readers) : name => google_pubsub_subscription.reader[name].name },
    { for fleet in keys(var.predictions_tables) : "${fleet}-predictions" => google_pubsub_subscription.predictions[fleet].name },
  )
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge(local.worker_topics, local.client_topics)

  project = var.project
  topic   = google_pubsub_topic.this[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

resource "google_pubsub_subscription_iam_member" "subscriber" {
  for_each = merge(local.worker_subscriptions, local.client_subscriptions)

  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = each.value.member
}

resource "google_pubsub_topic_iam_member" "notifier" {
  for_each = var.promoters

  project = var.project
  topic   = google_pubsub_topic.notices.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

# Whoever starts the job looks whether what it needs is there
resource "google_pubsub_topic_iam_member" "viewer" {
  for_each = local.promoter_topics

  project = var.project
  topic   = google_pubsub_topic.this[each.value.topic].name
  role    = "roles/pubsub.viewer"
  member  = each.value.member
}

# And Dataflow looks a subscription up before it reads from it
resource "google_pubsub_subscription_iam_member" "viewer" {
  for_each = merge(local.worker_subscriptions, local.promoter_subscriptions)

  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.viewer"
  member       = each.value.member
}

resource "google_pubsub_topic_iam_member" "forwarder" {
  project = var.project
  topic   = google_pubsub_topic.undelivered.name
  role    = "roles/pubsub.publisher"
  member  = local.agent
}

resource "google_pubsub_subscription_iam_member" "forwarder" {
  for_each = local.forwarded

  project      = var.project
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = local.agent
}
