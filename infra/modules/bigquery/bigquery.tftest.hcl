mock_provider "google" {}

variables {
  project  = "acme-fleets-dev"
  location = "europe-west1"
  fleets   = { income = "binary", demand = "regression" }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "columns_follow_the_task" {
  command = plan

  assert {
    condition     = one([for column in jsondecode(google_bigquery_table.predictions["income"].schema) : column.type if column.name == "prediction"]) == "STRING"
    error_message = "A class is a label."
  }

  assert {
    condition     = one([for column in jsondecode(google_bigquery_table.predictions["demand"].schema) : column.type if column.name == "prediction"]) == "FLOAT64"
    error_message = "A regression predicts a number."
  }

  assert {
    condition     = contains([for column in jsondecode(google_bigquery_table.evaluation["income"].schema) : column.name], "candidate_accuracy") && !contains([for column in jsondecode(google_bigquery_table.evaluation["demand"].schema) : column.name], "candidate_accuracy")
    error_message = "An evaluation has the metrics of its task."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.predictions : contains([for column in jsondecode(table.schema) : column.name], table.time_partitioning[0].field)])
    error_message = "Predictions are divided by a column that they have."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.evaluation : contains([for column in jsondecode(table.schema) : column.name], table.time_partitioning[0].field)])
    error_message = "Evaluations are divided by a column that they have."
  }

  assert {
    condition     = google_bigquery_table.predictions["income"].time_partitioning[0].expiration_ms == 400 * 86400000
    error_message = "Predictions go after 400 days."
  }
}

run "for_ever" {
  command = plan

  variables {
    keep_days = null
  }

  assert {
    condition     = google_bigquery_table.predictions["income"].time_partitioning[0].expiration_ms == null
    error_message = "Null keeps them."
  }
}

run "names" {
  command = plan

  assert {
    condition     = output.predictions["income"] == "acme-fleets-dev.modelfleet.income_predictions"
    error_message = "A table's full name."
  }
}

run "too_short" {
  command = plan

  variables {
    keep_days = 7
  }

  expect_failures = [var.keep_days]
}

run "no_task" {
  command = plan

  variables {
    fleets = { income = "classification" }
  }

  expect_failures = [var.fleets]
}

run "no_dataset" {
  command = plan

  variables {
    dataset = "model-fleet"
  }

  expect_failures = [var.dataset]
}
