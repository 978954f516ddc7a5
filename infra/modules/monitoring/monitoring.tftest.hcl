mock_provider "google" {}

variables {
  project                  = "acme-fleets-dev"
  emails                   = { team = "ml@acme.example" }
  request_subscriptions    = { income = "income-requests", demand = "demand-requests" }
  undelivered_subscription = "undelivered"
  composer_environment     = "modelfleet"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "every_fault_has_its_alert" {
  command = plan

  assert {
    condition = output.policies == tolist([
      "modelfleet: A Dataflow job failed",
      "modelfleet: A release was not acknowledged in time",
      "modelfleet: A release was published, but nothing serves the fleet",
      "modelfleet: A release was refused by a serving process",
      "modelfleet: A retraining failed",
      "modelfleet: A streaming job is behind",
      "modelfleet: Messages that nobody takes",
      "modelfleet: Requests wait too long",
      "modelfleet: Too many dead letters",
    ])
    error_message = "Nine alerts."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.threshold : length(policy.documentation[0].content) > 80])
    error_message = "Each says what to do."
  }
}

run "thresholds" {
  command = plan

  variables {
    oldest_request_seconds = 45
    dead_letter_share      = 0.05
  }

  assert {
    condition     = google_monitoring_alert_policy.threshold["requests-wait"].conditions[0].condition_threshold[0].threshold_value == 45
    error_message = "The age is what was asked for."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.threshold["requests-wait"].conditions[0].condition_threshold[0].filter, "demand-requests|income-requests")
    error_message = "Every fleet's requests are watched."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.dead_letters.conditions[0].condition_prometheus_query_language[0].query, "> 0.05 *")
    error_message = "The share is what was asked for."
  }
}

run "the_dashboard_has_no_hole" {
  command = plan

  assert {
    condition = length(distinct([
      for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : "${tile.xPos}/${tile.yPos}"
    ])) == 10
    error_message = "Ten charts, each in its own place."
  }
}

run "nobody_to_tell" {
  command = plan

  variables {
    emails = {}
  }

  expect_failures = [var.emails]
}

run "no_address" {
  command = plan

  variables {
    emails = { team = "the team" }
  }

  expect_failures = [var.emails]
}

run "no_share" {
  command = plan

  variables {
    dead_letter_share = 5
  }

  expect_failures = [var.dead_letter_share]
}

run "too_young" {
  command = plan

  variables {
    oldest_request_seconds = 1
  }

  expect_failures = [var.oldest_request_seconds]
}

run "too_fast" {
  command = plan

  variables {
    lag_seconds = 1
  }

  expect_failures = [var.lag_seconds]
}
