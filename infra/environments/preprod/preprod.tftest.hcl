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
    name   = "projects/acme-fleets-preprod/serviceAccounts/modelfleet-airflow@acme-fleets-preprod.iam.gserviceaccount.com"
    email  = "modelfleet-airflow@acme-fleets-preprod.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-airflow@acme-fleets-preprod.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.identities.google_service_account.this["launcher"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-preprod/serviceAccounts/modelfleet-launcher@acme-fleets-preprod.iam.gserviceaccount.com"
    email  = "modelfleet-launcher@acme-fleets-preprod.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-launcher@acme-fleets-preprod.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.identities.google_service_account.this["worker"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-preprod/serviceAccounts/modelfleet-worker@acme-fleets-preprod.iam.gserviceaccount.com"
    email  = "modelfleet-worker@acme-fleets-preprod.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-worker@acme-fleets-preprod.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.identities.google_service_account.this["mlflow"]
  override_during = plan
  values = {
    name   = "projects/acme-fleets-preprod/serviceAccounts/modelfleet-mlflow@acme-fleets-preprod.iam.gserviceaccount.com"
    email  = "modelfleet-mlflow@acme-fleets-preprod.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-mlflow@acme-fleets-preprod.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.ci.google_service_account.deployer
  override_during = plan
  values = {
    name   = "projects/acme-fleets-preprod/serviceAccounts/modelfleet-deployer@acme-fleets-preprod.iam.gserviceaccount.com"
    email  = "modelfleet-deployer@acme-fleets-preprod.iam.gserviceaccount.com"
    member = "serviceAccount:modelfleet-deployer@acme-fleets-preprod.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = module.platform.module.mlflow[0].google_cloud_run_v2_service.this
  override_during = plan
  values          = { uri = "https://mlflow-abc.a.run.app" }
}

variables {
  project         = "acme-fleets-preprod"
  fleets          = { income = "binary" }
  repository      = "acme/fleets"
  owner_id        = "1234567"
  state_bucket    = "acme-terraform-state"
  emails          = { team = "ml@acme.example" }
  people          = { team = "group:ml@acme.example" }
  clients         = { shop = "serviceAccount:shop@acme-fleets-preprod.iam.gserviceaccount.com" }
  billing_account = "012345-6789AB-CDEF01"

  registry_readers = { production = "serviceAccount:modelfleet-deployer@acme-fleets-prod.iam.gserviceaccount.com" }

  images = {
    revision = "0.1.0"
    mlflow   = "europe-west1-docker.pkg.dev/acme-fleets-preprod/modelfleet/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    worker   = "europe-west1-docker.pkg.dev/acme-fleets-preprod/modelfleet/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    launcher = "europe-west1-docker.pkg.dev/acme-fleets-preprod/modelfleet/template-serve@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "like_production_and_smaller" {
  command = plan

  assert {
    condition     = output.engine_options.max_num_workers == 10 && output.engine_options.machine_type == "n2-standard-4"
    error_message = "Ten workers of production's kind at most."
  }
}
