mock_provider "google" {}

variables {
  project = "acme-fleets-dev"
  region  = "europe-west1"
  signers = { airflow = "serviceAccount:airflow@example.iam.gserviceaccount.com" }
  readers = { team = "group:ml@example.com" }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "a_key_that_signs_and_is_never_given_out" {
  command = plan

  assert {
    condition     = google_kms_crypto_key.releases.purpose == "ASYMMETRIC_SIGN" && google_kms_crypto_key.releases.version_template[0].algorithm == "EC_SIGN_ED25519"
    error_message = "Releases are signed by ed25519."
  }

  assert {
    condition     = { for key, grant in google_kms_crypto_key_iam_member.this : key => grant.role } == { airflow-signs = "roles/cloudkms.signerVerifier", team-checks = "roles/cloudkms.publicKeyViewer" }
    error_message = "Who checks cannot sign."
  }

  assert {
    condition     = output.signing_key == "gcpkms://projects/acme-fleets-dev/locations/europe-west1/keyRings/modelfleet/cryptoKeys/releases/cryptoKeyVersions/1" && output.public_keys == output.signing_key
    error_message = "The first version signs, and is believed."
  }
}

run "one_takes_the_others_place" {
  command = plan

  variables {
    signs    = 10
    believed = [10, 9]
  }

  assert {
    condition     = output.public_keys == join(",", [for version in [9, 10] : "gcpkms://projects/acme-fleets-dev/locations/europe-west1/keyRings/modelfleet/cryptoKeys/releases/cryptoKeyVersions/${version}"])
    error_message = "Both are believed."
  }
}

run "a_signature_that_nobody_believes" {
  command = plan

  variables {
    signs = 2
  }

  expect_failures = [var.believed]
}

run "no_name_of_a_ring" {
  command = plan

  variables {
    name = "a/b"
  }

  expect_failures = [var.name]
}

run "no_version" {
  command = plan

  variables {
    signs    = 0
    believed = [0]
  }

  expect_failures = [var.signs]
}
