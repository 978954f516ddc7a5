mock_provider "google" {}

variables {
  project   = "acme-fleets-dev"
  region    = "europe-west1"
  network   = "projects/acme-fleets-dev/global/networks/modelfleet"
  databases = { mlflow = "modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com" }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "private_and_encrypted" {
  command = plan

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    error_message = "The instance has no public address and speaks no plain text."
  }

  assert {
    condition     = google_sql_user.this["mlflow"].type == "CLOUD_IAM_SERVICE_ACCOUNT" && google_sql_user.this["mlflow"].password == null
    error_message = "There is no password."
  }

  assert {
    condition     = google_sql_user.this["mlflow"].name == "modelfleet-mlflow@acme-fleets-dev.iam"
    error_message = "PostgreSQL knows a service account without the end of its address."
  }
}

run "who_was_there" {
  command = plan

  assert {
    condition     = { for flag in google_sql_database_instance.this.settings[0].database_flags : flag.name => flag.value }["log_connections"] == "on"
    error_message = "Whoever signs in leaves a line."
  }
}

run "can_be_restored" {
  command = plan

  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "Backups, and any point of the last days."
  }

  assert {
    condition     = google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].deletion_protection_enabled
    error_message = "It refuses to be deleted, by Terraform and by Google."
  }
}

run "two_zones" {
  command = plan

  variables {
    high_availability = true
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL"
    error_message = "A second instance in another zone."
  }
}

run "no_tier" {
  command = plan

  variables {
    tier = "n2-standard-2"
  }

  expect_failures = [var.tier]
}

run "too_few_backups" {
  command = plan

  variables {
    backups = 1
  }

  expect_failures = [var.backups]
}

run "too_many_days" {
  command = plan

  variables {
    log_days = 30
  }

  expect_failures = [var.log_days]
}

run "no_account" {
  command = plan

  variables {
    databases = { mlflow = "mlflow" }
  }

  expect_failures = [var.databases]
}

run "no_name" {
  command = plan

  variables {
    name = "Model_Fleet"
  }

  expect_failures = [var.name]
}
