mock_provider "google" {}

variables {
  project_number  = "123456789012"
  billing_account = "012345-6789AB-CDEF01"
  amount          = 800
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "told_before_it_is_spent" {
  command = plan

  assert {
    condition     = contains([for rule in google_billing_budget.this.threshold_rules : rule.spend_basis], "FORECASTED_SPEND")
    error_message = "A forecast is told of, too."
  }

  assert {
    condition     = length(google_billing_budget.this.threshold_rules) == 4
    error_message = "Three thresholds and the forecast."
  }

  assert {
    condition     = length(google_billing_budget.this.all_updates_rule) == 0
    error_message = "Without a channel Google tells the account's administrators."
  }
}

run "channels" {
  command = plan

  variables {
    channels = ["projects/acme-fleets-dev/notificationChannels/1"]
  }

  assert {
    condition     = google_billing_budget.this.all_updates_rule[0].monitoring_notification_channels == tolist(["projects/acme-fleets-dev/notificationChannels/1"])
    error_message = "The channel is told."
  }
}

run "no_account" {
  command = plan

  variables {
    billing_account = "acme"
  }

  expect_failures = [var.billing_account]
}

run "no_amount" {
  command = plan

  variables {
    amount = 0.5
  }

  expect_failures = [var.amount]
}

run "no_share" {
  command = plan

  variables {
    thresholds = [50]
  }

  expect_failures = [var.thresholds]
}

run "a_number_is_no_id" {
  command = plan

  variables {
    project_number = "acme-fleets-dev"
  }

  expect_failures = [var.project_number]
}
