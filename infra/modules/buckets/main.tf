locals {
  # MODELFLEET_HOME is one root: bundles, releases, leases and runs of a fleet lie together below fleets/<fleet>/.
  # So releases are no bucket of their own; the grants below tell them apart by their names.
  buckets = {
    home      = { versioned = true, delete_after_days = null }
    staging   = { versioned = false, delete_after_days = var.staging_days }
    templates = { versioned = true, delete_after_days = null }
    artifacts = { versioned = true, delete_after_days = null }
    data-docs = { versioned = false, delete_after_days = null }
    dags      = { versioned = true, delete_after_days = null }
  }

  is_no_release = {
    title       = "no-release"
    description = "Everything but fleets/<fleet>/releases/"
    expression  = "resource.name.extract('/objects/fleets/{fleet}/releases/') == ''"
  }

  both  = merge(var.promoters, var.workers)
  roles = { viewer = "roles/storage.objectViewer", user = "roles/storage.objectUser", creator = "roles/storage.objectCreator" }

  grants = merge(
    { for who, member in local.both : "home-${who}-reads" => { bucket = "home", role = local.roles.viewer, member = member } },
    { for who, member in var.promoters : "home-${who}-publishes" => { bucket = "home", role = local.roles.creator, member = member } },
    { for who, member in var.promoters : "data-docs-${who}-writes" => { bucket = "data-docs", role = local.roles.user, member = member } },
    { for who, member in var.stagers : "staging-${who}-writes" => { bucket = "staging", role = local.roles.user, member = member } },
    { for who, member in var.stagers : "templates-${who}-reads" => { bucket = "templates", role = local.roles.viewer, member = member } },
    { for who, member in var.promoters : "dags-${who}-runs" => { bucket = "dags", role = local.roles.user, member = member } },
    { for who, member in var.deployers : "dags-${who}-writes" => { bucket = "dags", role = local.roles.user, member = member } },
    { for who, member in var.deployers : "templates-${who}-writes" => { bucket = "templates", role = local.roles.user, member = member } },
    { for who, member in var.artifact_writers : "artifacts-${who}-writes" => { bucket = "artifacts", role = local.roles.user, member = member } },
    { for who, member in var.docs_readers : "data-docs-${who}-reads" => { bucket = "data-docs", role = local.roles.viewer, member = member } },
  )
}

resource "google_storage_bucket" "this" {
  for_each = local.buckets

  project       = var.project
  name          = "${var.prefix}-${each.key}"
  location      = var.location
  force_destroy = var.force_destroy

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = each.value.versioned
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versioned ? [var.old_version_days] : []

    content {
      action {
        type = "Delete"
      }
      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        with_state                 = "ARCHIVED"
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after_days[*]

    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  # What a killed upload left
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }
}

resource "google_storage_bucket_iam_member" "grant" {
  for_each = local.grants

  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = each.value.role
  member = each.value.member
}

# Overwrite and delete, except releases: a worker that was taken over cannot publish one, and nobody can change one
resource "google_storage_bucket_iam_member" "home_writer" {
  for_each = local.both

  bucket = google_storage_bucket.this["home"].name
  role   = local.roles.user
  member = each.value

  condition {
    title       = local.is_no_release.title
    description = local.is_no_release.description
    expression  = local.is_no_release.expression
  }
}

data "google_storage_project_service_account" "this" {
  project = var.project
}

resource "google_pubsub_topic_iam_member" "notifier" {
  project = var.project
  topic   = var.notice_topic
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${data.google_storage_project_service_account.this.email_address}"
}

# A prefix cannot leave out the fleet's name, so this tells of every new object; each subscription filters its own
resource "google_storage_notification" "home" {
  bucket             = google_storage_bucket.this["home"].name
  topic              = var.notice_topic
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "fleets/"

  depends_on = [google_pubsub_topic_iam_member.notifier]
}
