mock_provider "google" {}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "every_api_stays_on" {
  command = plan

  variables {
    project  = "acme-fleets-dev"
    services = ["pubsub.googleapis.com", "run.googleapis.com"]
  }

  assert {
    condition     = output.services == tolist(["pubsub.googleapis.com", "run.googleapis.com"])
    error_message = "One API each is switched on."
  }

  assert {
    condition     = !anytrue([for service in google_project_service.this : service.disable_on_destroy])
    error_message = "A destroy leaves the APIs on."
  }

  assert {
    condition     = output.project == "acme-fleets-dev"
    error_message = "The project's id is passed on."
  }
}

run "no_project_id" {
  command = plan

  variables {
    project = "My Project"
  }

  expect_failures = [var.project]
}

run "no_api" {
  command = plan

  variables {
    project  = "acme-fleets-dev"
    services = ["pubsub"]
  }

  expect_failures = [var.services]
}
