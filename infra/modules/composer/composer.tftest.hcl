mock_provider "google" {}

variables {
  project         = "acme-fleets-dev"
  region          = "europe-west1"
  network         = "projects/acme-fleets-dev/global/networks/modelfleet"
  subnetwork      = "projects/acme-fleets-dev/regions/europe-west1/subnetworks/modelfleet-europe-west1"
  service_account = "modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com"
  dags_bucket     = "acme-fleets-dev-modelfleet-dags"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "composer_3_airflow_3" {
  command = plan

  assert {
    condition     = google_composer_environment.this.config[0].software_config[0].image_version == "composer-3-airflow-3"
    error_message = "The DAGs are written for Airflow 3."
  }

  assert {
    condition     = google_composer_environment.this.config[0].enable_private_environment
    error_message = "No part of it has a public address."
  }

  assert {
    condition     = google_composer_environment.this.config[0].node_config[0].service_account == var.service_account
    error_message = "Tasks run as the account made for them."
  }
}

run "one_of_each_is_enough_for_dev" {
  command = plan

  assert {
    condition     = google_composer_environment.this.config[0].workloads_config[0].scheduler[0].count == 1 && google_composer_environment.this.config[0].resilience_mode == "STANDARD_RESILIENCE"
    error_message = "Nothing is paid for twice."
  }
}

run "two_zones" {
  command = plan

  variables {
    resilient = true
  }

  assert {
    condition     = google_composer_environment.this.config[0].workloads_config[0].scheduler[0].count == 2 && google_composer_environment.this.config[0].resilience_mode == "HIGH_RESILIENCE"
    error_message = "Two schedulers, in two zones."
  }
}

run "not_airflow_2" {
  command = plan

  variables {
    image_version = "composer-3-airflow-2.10.5"
  }

  expect_failures = [var.image_version]
}

run "no_size" {
  command = plan

  variables {
    size = "SMALL"
  }

  expect_failures = [var.size]
}

run "composers_own_variables" {
  command = plan

  variables {
    environment = { AIRFLOW__CORE__FERNET_KEY = "x" }
  }

  expect_failures = [var.environment]
}

run "our_own_index" {
  command = plan

  variables {
    package_index = "https://europe-west1-python.pkg.dev/acme-fleets-dev/modelfleet-python/simple/"
  }

  assert {
    condition     = [for object in google_storage_bucket_object.pip : object.content] == ["[global]\nindex-url = https://europe-west1-python.pkg.dev/acme-fleets-dev/modelfleet-python/simple/\n"]
    error_message = "pip asks there, and nowhere else."
  }
}

run "no_index" {
  command = plan

  variables {
    package_index = "index.example"
  }

  expect_failures = [var.package_index]
}

run "pinned" {
  command = plan

  variables {
    packages = { modelfleet = ">=0.1" }
  }

  expect_failures = [var.packages]
}

run "no_workers" {
  command = plan

  variables {
    workers = { least = 3, most = 1 }
  }

  expect_failures = [var.workers]
}

run "no_range" {
  command = plan

  variables {
    web_ranges = { office = "everywhere" }
  }

  expect_failures = [var.web_ranges]
}

run "no_name" {
  command = plan

  variables {
    name = "Model Fleet"
  }

  expect_failures = [var.name]
}

run "deployed" {
  command = apply

  variables {
    packages = { modelfleet = "[beam]==0.1.0+g1" }
  }
}

# After it, because it looks at what that has left
run "an_apply_does_not_take_a_deployment_back" {
  command = plan

  variables {
    packages = { modelfleet = "[beam]==0.0.9", acme-families = "==1.2.0" }
  }

  assert {
    condition     = google_composer_environment.this.config[0].software_config[0].pypi_packages == tomap({ modelfleet = "[beam]==0.1.0+g1", acme-families = "==1.2.0" })
    error_message = "The version of modelfleet is that of the deployment; other packages are Terraform's."
  }
}
