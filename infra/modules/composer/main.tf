# Composer looks for it here before it installs anything
resource "google_storage_bucket_object" "pip" {
  for_each = toset(var.package_index[*])

  bucket       = var.dags_bucket
  name         = "config/pip/pip.conf"
  content_type = "text/plain"
  content      = "[global]\nindex-url = ${each.value}\n"
}

resource "google_composer_environment" "this" {
  project = var.project
  region  = var.region
  name    = var.name

  # A bucket of ours: with one of Composer's own, nobody could be granted anything on it before it is there
  storage_config {
    bucket = var.dags_bucket
  }

  config {
    environment_size           = var.size
    resilience_mode            = var.resilient ? "HIGH_RESILIENCE" : "STANDARD_RESILIENCE"
    enable_private_environment = true

    node_config {
      network         = var.network
      subnetwork      = var.subnetwork
      service_account = var.service_account
    }

    software_config {
      image_version = var.image_version
      env_variables = var.environment
      pypi_packages = var.packages

      airflow_config_overrides = {
        "core-dags_are_paused_at_creation" = "False"
        # Connections and variables come from Secret Manager: airflow-connections-<id>, airflow-variables-<name>
        "secrets-backend"        = "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend"
        "secrets-backend_kwargs" = jsonencode({ project_id = var.project })
      }
    }

    workloads_config {
      scheduler {
        count      = var.resilient ? 2 : 1
        cpu        = 1
        memory_gb  = 4
        storage_gb = 2
      }

      dag_processor {
        count      = 1
        cpu        = 1
        memory_gb  = 4
        storage_gb = 2
      }

      # For whatever defers. The sensors of the fleets' DAGs do not: between two looks they give their worker back
      triggerer {
        count     = var.resilient ? 2 : 1
        cpu       = 0.5
        memory_gb = 1
      }

      web_server {
        cpu        = 1
        memory_gb  = 4
        storage_gb = 2
      }

      worker {
        min_count  = var.workers.least
        max_count  = var.workers.most
        cpu        = 2
        memory_gb  = 8
        storage_gb = 10
      }
    }

    dynamic "web_server_network_access_control" {
      for_each = length(var.web_ranges) > 0 ? [var.web_ranges] : []

      content {
        dynamic "allowed_ip_range" {
          for_each = web_server_network_access_control.value

          content {
            value       = allowed_ip_range.value
            description = allowed_ip_range.key
          }
        }
      }
    }

    maintenance_window {
      start_time = "2026-01-03T02:00:00Z"
      end_time   = "2026-01-03T08:00:00Z"
      recurrence = "FREQ=WEEKLY;BYDAY=SA,SU"
    }
  }

  # A deployment sets the version of our own package; an apply must not take it back
  lifecycle {
    ignore_changes = [config[0].software_config[0].pypi_packages["modelfleet"]]
  }

  depends_on = [google_storage_bucket_object.pip]
}

# No smaller role may set a package. Whoever writes DAGs can run anything as their account as it is
resource "google_project_iam_member" "deployer" {
  for_each = var.deployers

  project = var.project
  role    = "roles/composer.admin"
  member  = each.value
}

# An environment is changed only by somebody who may act as its account
resource "google_service_account_iam_member" "deployer" {
  for_each = var.deployers

  service_account_id = "projects/${var.project}/serviceAccounts/${var.service_account}"
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}
