mock_provider "google" {}

variables {
  project = "acme-fleets-dev"
  region  = "europe-west1"
  secrets = {
    first  = { airflow = "serviceAccount:airflow@example.iam.gserviceaccount.com", worker = "serviceAccount:worker@example.iam.gserviceaccount.com" }
    second = {}
  }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "each_is_read_by_whom_it_concerns" {
  command = plan

  assert {
    condition     = sort(keys(google_secret_manager_secret_iam_member.reader)) == tolist(["first-airflow", "first-worker"])
    error_message = "Nobody reads the second one."
  }

  assert {
    condition     = alltrue([for grant in google_secret_manager_secret_iam_member.reader : grant.role == "roles/secretmanager.secretAccessor"])
    error_message = "They read, and change nothing."
  }

  assert {
    condition     = output.names == tolist(["first", "second"])
    error_message = "The names are passed on."
  }
}

run "no_name" {
  command = plan

  variables {
    secrets = { "a/b" = {} }
  }

  expect_failures = [var.secrets]
}
