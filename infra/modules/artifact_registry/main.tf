resource "google_artifact_registry_repository" "this" {
  project       = var.project
  location      = var.region
  repository_id = var.name
  description   = "Images of modelfleet: Dataflow workers, Airflow, MLflow"
  format        = "DOCKER"

  # A tag may move: a workflow that is run again pushes it again. What is deployed is named by digest and signed
  docker_config {
    immutable_tags = false
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.keep_versions
    }
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "${var.untagged_days * 86400}s"
    }
  }
}

# Our own packages come before PyPI's: nobody can slip in another one by publishing our name there
resource "google_artifact_registry_repository" "packages" {
  project       = var.project
  location      = var.region
  repository_id = "${var.name}-packages"
  description   = "Wheels of modelfleet and of your own families"
  format        = "PYTHON"
}

resource "google_artifact_registry_repository" "pypi" {
  project       = var.project
  location      = var.region
  repository_id = "${var.name}-pypi"
  description   = "PyPI, as it was when somebody first asked"
  format        = "PYTHON"
  mode          = "REMOTE_REPOSITORY"

  remote_repository_config {
    python_repository {
      public_repository = "PYPI"
    }
  }
}

resource "google_artifact_registry_repository" "python" {
  project       = var.project
  location      = var.region
  repository_id = "${var.name}-python"
  description   = "What Airflow installs from: our packages, then PyPI's"
  format        = "PYTHON"
  mode          = "VIRTUAL_REPOSITORY"

  virtual_repository_config {
    upstream_policies {
      id         = "ours"
      repository = google_artifact_registry_repository.packages.id
      priority   = 100
    }

    upstream_policies {
      id         = "pypi"
      repository = google_artifact_registry_repository.pypi.id
      priority   = 50
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "installer" {
  for_each = var.installers

  project    = var.project
  location   = google_artifact_registry_repository.python.location
  repository = google_artifact_registry_repository.python.repository_id
  role       = "roles/artifactregistry.reader"
  member     = each.value
}

resource "google_artifact_registry_repository_iam_member" "package_writer" {
  for_each = var.writers

  project    = var.project
  location   = google_artifact_registry_repository.packages.location
  repository = google_artifact_registry_repository.packages.repository_id
  role       = "roles/artifactregistry.writer"
  member     = each.value
}

resource "google_artifact_registry_repository_iam_member" "reader" {
  for_each = var.readers

  project    = var.project
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.repository_id
  role       = "roles/artifactregistry.reader"
  member     = each.value
}

resource "google_artifact_registry_repository_iam_member" "writer" {
  for_each = var.writers

  project    = var.project
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.repository_id
  role       = "roles/artifactregistry.writer"
  member     = each.value
}
