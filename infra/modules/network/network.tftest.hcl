mock_provider "google" {}

variables {
  project = "acme-fleets-dev"
  region  = "europe-west1"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "workers_are_private" {
  command = plan

  assert {
    condition     = google_compute_subnetwork.this.private_ip_google_access && !google_compute_network.this.auto_create_subnetworks
    error_message = "Workers without a public address reach Google's APIs inside, and only in subnetworks made here."
  }

  assert {
    condition     = alltrue([for rule in [google_compute_firewall.dataflow] : rule.source_ranges == null && rule.source_tags == toset(["dataflow"])])
    error_message = "Nobody but the workers themselves is let in."
  }

  assert {
    condition     = output.dataflow_subnetwork == "regions/europe-west1/subnetworks/modelfleet-europe-west1"
    error_message = "Dataflow's short form of the subnetwork."
  }
}

run "too_small" {
  command = plan

  variables {
    subnetwork_range = "10.0.0.0/28"
  }

  expect_failures = [var.subnetwork_range]
}

run "no_range" {
  command = plan

  variables {
    subnetwork_range = "10.0.0.0"
  }

  expect_failures = [var.subnetwork_range]
}

run "no_region" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
}

run "no_prefix" {
  command = plan

  variables {
    private_services_prefix = 28
  }

  expect_failures = [var.private_services_prefix]
}

run "no_name" {
  command = plan

  variables {
    name = "Model_Fleet"
  }

  expect_failures = [var.name]
}
