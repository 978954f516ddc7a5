mock_provider "google" {}

variables {
  project            = "acme-fleets-dev"
  project_number     = "123456789012"
  fleets             = { income = "binary", demand = "regression" }
  predictions_tables = { income = "acme-fleets-dev.modelfleet.income_predictions" }
  workers            = { worker = "serviceAccount:worker@example.iam.gserviceaccount.com" }
  promoters          = { airflow = "serviceAccount:airflow@example.iam.gserviceaccount.com" }
  clients            = { shop = "serviceAccount:shop@example.iam.gserviceaccount.com" }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "a_prediction_is_what_the_task_says" {
  command = plan

  assert {
    condition     = strcontains(google_pubsub_schema.this["income-answers"].definition, "string prediction = 4;")
    error_message = "A class is a label."
  }

  assert {
    condition     = strcontains(google_pubsub_schema.this["demand-answers"].definition, "double prediction = 4;")
    error_message = "A regression predicts a number."
  }

  assert {
    condition     = length(google_pubsub_topic.this["income-requests"].schema_settings) == 0
    error_message = "Whatever comes as a request is answered or becomes a dead letter: no schema sends it back."
  }
}

run "a_chunk_is_no_single_answer" {
  command = plan

  variables {
    chunked = ["demand"]
  }

  assert {
    condition     = length(google_pubsub_topic.this["demand-answers"].schema_settings) == 0 && length(google_pubsub_topic.this["income-answers"].schema_settings) == 1
    error_message = "Lists of answers pass where they are expected, and only there."
  }
}

run "a_list_is_no_row" {
  command = plan

  variables {
    chunked = ["income"]
  }

  expect_failures = [var.predictions_tables]
}

run "no_such_fleet" {
  command = plan

  variables {
    chunked = ["sales"]
  }

  expect_failures = [var.chunked]
}

run "nothing_is_lost" {
  command = plan

  assert {
    condition = alltrue([
      for subscription in concat(values(google_pubsub_subscription.reader), values(google_pubsub_subscription.predictions)) :
      subscription.dead_letter_policy[0].max_delivery_attempts == 10
    ])
    error_message = "What nobody takes is laid aside."
  }

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.requests : length(subscription.dead_letter_policy) == 0])
    error_message = "Dataflow nacks for its own reasons: its subscription has no dead-letter policy."
  }

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.requests : subscription.expiration_policy[0].ttl == ""])
    error_message = "A subscription that rests for a month is still there."
  }

  assert {
    condition     = google_pubsub_subscription.requests["income"].message_retention_duration == "604800s"
    error_message = "Requests wait for a week."
  }
}

run "a_fleet_is_told_of_its_own_releases" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.notices["income"].filter == "hasPrefix(attributes.objectId, \"fleets/income/releases/\") OR attributes.fleet = \"income\""
    error_message = "The filter names the fleet's ledger, and the fleet."
  }

  assert {
    condition     = [for grant in google_pubsub_topic_iam_member.notifier : grant.member] == [var.promoters.airflow]
    error_message = "Who promotes may tell of it."
  }
}

run "each_does_only_his_part" {
  command = plan

  assert {
    condition     = sort([for key, grant in google_pubsub_topic_iam_member.publisher : key if grant.member == var.workers.worker]) == sort(["income-answers-worker", "income-dead-letters-worker", "demand-answers-worker", "demand-dead-letters-worker"])
    error_message = "Workers answer; they send no requests."
  }

  assert {
    condition     = sort([for key, grant in google_pubsub_topic_iam_member.publisher : key if grant.member == var.clients.shop]) == sort(["income-requests-shop", "demand-requests-shop"])
    error_message = "Clients ask; they give no answers."
  }

  assert {
    condition     = length([for grant in google_pubsub_subscription_iam_member.subscriber : grant if endswith(grant.subscription, "-requests") && grant.member != var.workers.worker]) == 0
    error_message = "Only workers take requests."
  }
}

run "full_names" {
  command = plan

  assert {
    condition = output.topics.income == {
      answers      = "projects/acme-fleets-dev/topics/income-answers"
      dead_letters = "projects/acme-fleets-dev/topics/income-dead-letters"
      requests     = "projects/acme-fleets-dev/topics/income-requests"
    }
    error_message = "Topics by what the spec calls them."
  }
}

run "no_task" {
  command = plan

  variables {
    fleets = { income = "classification" }
  }

  expect_failures = [var.fleets]
}

run "no_fleet" {
  command = plan

  variables {
    fleets = { "Income 2" = "binary" }
  }

  expect_failures = [var.fleets]
}

run "a_number_is_no_id" {
  command = plan

  variables {
    project_number = "acme-fleets-dev"
  }

  expect_failures = [var.project_number]
}

run "too_few_attempts" {
  command = plan

  variables {
    max_delivery_attempts = 1
  }

  expect_failures = [var.max_delivery_attempts]
}

run "too_long" {
  command = plan

  variables {
    retention_days = 60
  }

  expect_failures = [var.retention_days]
}
