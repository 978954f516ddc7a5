locals {
  readings = merge([
    for secret, readers in var.secrets : {
      for who, member in readers : "${secret}-${who}" => { secret = secret, member = member }
    }
  ]...)
}

# Only the name. The value is added by hand (`gcloud secrets versions add`): what Terraform writes lies in its state,
# where everybody who may plan can read it.
resource "google_secret_manager_secret" "this" {
  for_each = var.secrets

  project             = var.project
  secret_id           = each.key
  deletion_protection = true

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.readings

  project   = var.project
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value.member
}
