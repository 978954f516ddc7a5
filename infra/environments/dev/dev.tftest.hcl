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
  project         = "acme-fleets-dev"
  fleets          = { income = "binary" }
  repository      = "acme/fleets"
  owner_id        = "1234567"
  state_bucket    = "acme-terraform-state"
  emails          = { team = "ml@acme.example" }
  people          = { team = "group:ml@acme.example" }
  clients         = { shop = "serviceAccount:shop@acme-fleets-dev.iam.gserviceaccount.com" }
  billing_account = "012345-6789AB-CDEF01"

  images = {
    revision = "0.1.0"
    mlflow   = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    worker   = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    launcher = "europe-west1-docker.pkg.dev/acme-fleets-dev/modelfleet/template-serve@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "small_and_easily_thrown_away" {
  command = plan

  assert {
    condition     = output.engine_options.max_num_workers == 4 && output.engine_options.machine_type == "n2-standard-2"
    error_message = "Four small workers at most."
  }
}

run "everything" {
  command = plan

  assert {
    condition     = output.environment["MLFLOW_TRACKING_URI"] == "https://mlflow-abc.a.run.app" && output.environment["MODELFLEET_HOME"] == "gs://acme-fleets-dev-modelfleet-home"
    error_message = "Airflow knows where MLflow and the fleets' home are."
  }

  assert {
    condition     = output.engine_options.service_account_email == "modelfleet-worker@acme-fleets-dev.iam.gserviceaccount.com"
    error_message = "Workers run as the account made for them."
  }

  assert {
    condition = jsondecode(output.engine_patch["income"]) == {
      engine         = "dataflow"
      engine_options = output.engine_options
      evaluation     = { table = "bigquery://acme-fleets-dev/modelfleet/income_evaluation" }
      serving = {
        source = { kind = "pubsub", subscription = "projects/acme-fleets-dev/subscriptions/income-requests" }
        sink = {
          kind         = "pubsub"
          answers      = "projects/acme-fleets-dev/topics/income-answers"
          dead_letters = "projects/acme-fleets-dev/topics/income-dead-letters"
        }
        updates = "event"
        notices = {
          kind         = "pubsub"
          topic        = "projects/acme-fleets-dev/topics/release-notices"
          subscription = "projects/acme-fleets-dev/subscriptions/income-releases"
        }
      }
    } && yamldecode(output.engine_yaml["income"]) == jsondecode(output.engine_patch["income"])
    error_message = "The same options in three forms, the fleet's own table, and its own topics."
  }

  assert {
    condition     = output.templates["serve"] == "gs://acme-fleets-dev-modelfleet-templates/modelfleet/0.1.0/serve.json"
    error_message = "Templates lie in their bucket."
  }

  assert {
    condition     = toset(keys(output.tables)) == toset(["income"]) && output.tables["income"].predictions == "acme-fleets-dev.modelfleet.income_predictions"
    error_message = "Each fleet has its tables."
  }
}
