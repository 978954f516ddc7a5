mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }

  mock_data "google_storage_project_service_account" {
    defaults = { email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
  }
}

# What Google names: known here, so that the plans show who is granted what
override_resource {
  target          = module.platform.module.identities.google_service_account.this["airflow"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-dev/serviceAccounts/modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com"
    email  = "modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-airflow@acme-fleets-dev.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.identities.google_service_account.this["launcher"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-dev/serviceAccounts/modelfleet-launcher@acme-fleets-dev.iam.gserviceaccount.com"
    email  = "modelfleet-launcher@acme-fleets-dev.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-launcher@acme-fleets-dev.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.identities.google_service_account.this["worker"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-dev/serviceAccounts/modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com"
    email  = "modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.identities.google_service_account.this["mlflow"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-dev/serviceAccounts/modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com"
    email  = "modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-mlflow@acme-fleets-dev.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.ci.google_service_account.deployer
  override_during = plan
  values = {
    name   = "projects/acme-fleets-dev/serviceAccounts/modelfleet-deployer@acme-fleets-dev.iam.gserviceaccount.com"
    email  = "modelfleet-deployer@acme-fleets-dev.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-deployer@acme-fleets-dev.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.mlflow[0].google_cloud_run_v2_service.this
  override_during = plan
  values          = { uri = "https://mlflow-abc.a.run.app" }
}

variables {
  project            = "acme-fleets-dev"
  region             = "europe-west1"
  fleets             = { income = "binary", demand = "regression" }
  repository         = "acme/fleets"
  owner_id           = "1234567"
  deploy_environment = "dev"
  state_bucket       = "acme-terraform-state"
  emails             = { team = "ml@acme.example" }
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "before_the_first_image" {
  command = plan

  assert {
    condition     = length(module.mlflow) == 0 && length(module.flex_templates) == 0 && output.templates == {}
    error_message = "Without images there is a registry to push them to, and nothing that would run them."
  }

  assert {
    condition     = !contains(keys(output.environment), "MLFLOW_TRACKING_URI")
    error_message = "Nobody is told of what is not there."
  }

  assert {
    condition     = length(module.budget) == 0
    error_message = "No billing account, no budget."
  }
}
