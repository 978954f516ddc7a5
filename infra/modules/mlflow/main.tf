locals {
  port       = 8080
  proxy_port = 5432
  # The proxy signs in to the database as the service account: there is no password
  store = "postgresql://${urlencode(var.database.user)}@127.0.0.1:${local.proxy_port}/${var.database.name}"

  # Options of `mlflow server`, by the environment variables that it reads
  environment = {
    MLFLOW_BACKEND_STORE_URI           = local.store
    MLFLOW_ARTIFACTS_DESTINATION       = "gs://${var.artifacts_bucket}"
    MLFLOW_SERVE_ARTIFACTS             = "true"
    MLFLOW_HOST                        = "0.0.0.0"
    MLFLOW_PORT                        = tostring(local.port)
    MLFLOW_WORKERS                     = "2"
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false"
    # Cloud Run has checked the name and the caller before a request comes this far
    MLFLOW_SERVER_ALLOWED_HOSTS = "*"
  }
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project
  location            = var.region
  name                = "mlflow"
  description         = "MLflow tracking server and model registry"
  ingress             = var.internal_only ? "INGRESS_TRAFFIC_INTERNAL_ONLY" : "INGRESS_TRAFFIC_ALL"
  deletion_protection = false # it holds nothing: runs and artifacts are in the database and the bucket

  template {
    service_account                  = var.service_account
    timeout                          = "300s"
    max_instance_request_concurrency = 40

    scaling {
      min_instance_count = 0
      max_instance_count = var.max_instances
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"

      network_interfaces {
        subnetwork = var.subnetwork
      }
    }

    containers {
      name       = "mlflow"
      image      = var.image
      command    = ["mlflow"]
      args       = ["server"]
      depends_on = ["proxy"]

      ports {
        container_port = local.port
      }

      resources {
        limits = { cpu = "1", memory = "2Gi" }
      }

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        failure_threshold = 30
        period_seconds    = 5

        http_get {
          path = "/health"
          port = local.port
        }
      }
    }

    containers {
      name  = "proxy"
      image = var.proxy_image
      args = [
        "--auto-iam-authn",
        "--private-ip",
        "--port=${local.proxy_port}",
        "--health-check",
        "--http-address=0.0.0.0",
        var.database.connection_name,
      ]

      resources {
        limits = { cpu = "0.5", memory = "256Mi" }
      }

      startup_probe {
        failure_threshold = 12
        period_seconds    = 5

        http_get {
          path = "/startup"
          port = 9090
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
