locals {
  topics = merge([
    for fleet in keys(var.fleets) : {
      for kind in ["requests", "answers", "dead-letters"] : "${fleet}-${kind}" => { fleet = fleet, kind = kind }
    }
  ]...)

  retention = "${var.retention_days * 86400}s"
  agent     = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # Requests have no schema: whatever comes is answered or becomes a dead letter with its reason. A schema would
  # throw it back at the sender, who may be long gone.
  schemas = merge(
    {
      for fleet, task in var.fleets : "${fleet}-answers" => templatefile("${path.module}/schemas/answer.proto.tftpl", {
        prediction = task == "regression" ? "double" : "string"
      }) if !contains(var.chunked, fleet)
    },
    { for fleet in keys(var.fleets) : "${fleet}-dead-letters" => file("${path.module}/schemas/dead_letter.proto") },
  )

  # Whoever reads these does so outside Dataflow, so Pub/Sub itself counts the attempts. The requests are Dataflow's,
  # which nacks for reasons of its own and must have no dead-letter policy; its dead letters are the pipeline's work.
  readers = merge(
    { for fleet in keys(var.fleets) : "${fleet}-answers" => "${fleet}-answers" },
    { for fleet in keys(var.fleets) : "${fleet}-dead-letters" => "${fleet}-dead-letters" },
  )
}

resource "google_pubsub_schema" "this" {
  for_each = local.schemas

  project    = var.project
  name       = each.key
  type       = "PROTOCOL_BUFFER"
  definition = each.value
}

resource "google_pubsub_topic" "this" {
  for_each = local.topics

  project                    = var.project
  name                       = each.key
  message_retention_duration = local.retention
  labels                     = { fleet = each.value.fleet, kind = each.value.kind }

  dynamic "schema_settings" {
    for_each = contains(keys(local.schemas), each.key) ? [each.key] : []

    content {
      schema   = google_pubsub_schema.this[schema_settings.value].id
      encoding = "JSON"
    }
  }
}

resource "google_pubsub_topic" "notices" {
  project                    = var.project
  name                       = "release-notices"
  message_retention_duration = "86400s"
}

resource "google_pubsub_topic" "undelivered" {
  project                    = var.project
  name                       = "undelivered"
  message_retention_duration = local.retention
}

resource "google_pubsub_subscription" "requests" {
  for_each = var.fleets

  project                    = var.project
  name                       = "${each.key}-requests"
  topic                      = google_pubsub_topic.this["${each.key}-requests"].id
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "reader" {
  for_each = local.readers

  project                    = var.project
  name                       = each.key
  topic                      = google_pubsub_topic.this[each.value].id
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered.id
    max_delivery_attempts = var.max_delivery_attempts
  }
}

resource "google_pubsub_subscription" "notices" {
  for_each = var.fleets

  project              = var.project
  name                 = "${each.key}-releases"
  topic                = google_pubsub_topic.notices.id
  ack_deadline_seconds = 10

  # Told by the bucket, of every new object, and by whoever promotes, who says which fleet
  filter = "hasPrefix(attributes.objectId, \"fleets/${each.key}/releases/\") OR attributes.fleet = \"${each.key}\""

  # The ledger is polled too: a notice that is an hour old tells nothing new
  message_retention_duration = "3600s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "predictions" {
  for_each = var.predictions_tables

  project                    = var.project
  name                       = "${each.key}-predictions"
  topic                      = google_pubsub_topic.this["${each.key}-answers"].id
  message_retention_duration = local.retention

  bigquery_config {
    table            = each.value
    use_table_schema = true
    # What a later version adds to an answer must not stop the earlier columns from being written
    drop_unknown_fields = true
  }

  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered.id
    max_delivery_attempts = var.max_delivery_attempts
  }
}

resource "google_pubsub_subscription" "undelivered" {
  project                    = var.project
  name                       = "undelivered"
  topic                      = google_pubsub_topic.undelivered.id
  message_retention_duration = local.retention

  expiration_policy {
    ttl = ""
  }
}
