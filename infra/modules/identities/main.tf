locals {
  # What each may do in the whole project. Everything else is granted on the one bucket, topic, dataset, repository
  # or secret that it is about, by the module that owns it.
  accounts = {
    airflow = {
      description = "Composer: runs the DAGs, submits jobs, publishes releases"
      roles = [
        "roles/bigquery.jobUser",
        "roles/bigquery.readSessionUser", # a table as data is read where the job is submitted
        "roles/composer.worker",
        "roles/dataflow.developer",
      ]
    }
    launcher = {
      description = "Flex Templates: builds a pipeline and submits it"
      roles = [
        "roles/dataflow.developer",
        "roles/dataflow.worker",
      ]
    }
    worker = {
      description = "Dataflow workers: read data and bundles, write answers"
      roles = [
        "roles/bigquery.jobUser",
        "roles/bigquery.readSessionUser",
        "roles/dataflow.worker",
        "roles/monitoring.metricWriter",
      ]
    }
    mlflow = {
      description = "The MLflow server on Cloud Run"
      roles = [
        "roles/cloudsql.client",
        "roles/cloudsql.instanceUser",
        "roles/logging.logWriter",
      ]
    }
  }

  grants = merge([
    for name, account in local.accounts : {
      for role in account.roles : "${name}-${trimprefix(role, "roles/")}" => { account = name, role = role }
    }
  ]...)

  # Who may start something that runs as whom
  acts_as = {
    airflow-launcher = { who = "airflow", as = "launcher" }
    airflow-worker   = { who = "airflow", as = "worker" }
    launcher-worker  = { who = "launcher", as = "worker" }
  }
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.project
  account_id   = "${var.prefix}-${each.key}"
  display_name = "modelfleet ${each.key}"
  description  = each.value.description
}

resource "google_project_iam_member" "this" {
  for_each = local.grants

  project = var.project
  role    = each.value.role
  member  = google_service_account.this[each.value.account].member
}

resource "google_service_account_iam_member" "acts_as" {
  for_each = local.acts_as

  service_account_id = google_service_account.this[each.value.as].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.this[each.value.who].member
}
