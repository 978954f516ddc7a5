locals {
  key      = "releases"
  versions = "projects/${var.project}/locations/${var.region}/keyRings/${var.name}/cryptoKeys/${local.key}/cryptoKeyVersions"

  grants = merge(
    { for who, member in var.signers : "${who}-signs" => { role = "roles/cloudkms.signerVerifier", member = member } },
    { for who, member in var.readers : "${who}-checks" => { role = "roles/cloudkms.publicKeyViewer", member = member } },
  )
}

resource "google_kms_key_ring" "this" {
  project  = var.project
  location = var.region
  name     = var.name
}

# Its first version is made with it. Further ones are made by hand, when one takes the other's place
resource "google_kms_crypto_key" "releases" {
  key_ring                   = google_kms_key_ring.this.id
  name                       = local.key
  purpose                    = "ASYMMETRIC_SIGN"
  destroy_scheduled_duration = "2592000s"

  version_template {
    algorithm        = "EC_SIGN_ED25519"
    protection_level = "SOFTWARE"
  }
}

resource "google_kms_crypto_key_iam_member" "this" {
  for_each = local.grants

  crypto_key_id = google_kms_crypto_key.releases.id
  role          = each.value.role
  member        = each.value.member
}
