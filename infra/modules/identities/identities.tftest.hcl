mock_provider "google" {}

variables {
  project = "acme-fleets-dev"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "least_privilege" {
  command = plan

  assert {
    condition = length([
      for grant in google_project_iam_member.this : grant.role
      if contains(["roles/owner", "roles/editor", "roles/viewer"], grant.role) || endswith(grant.role, "admin") || endswith(grant.role, "Admin")
    ]) == 0
    error_message = "Nobody administers anything, and nobody has a role over all of Google Cloud."
  }

  assert {
    condition = length([
      for grant in google_project_iam_member.this : grant.role
      if startswith(grant.role, "roles/storage.") || startswith(grant.role, "roles/pubsub.") || startswith(grant.role, "roles/secretmanager.") || grant.role == "roles/iam.serviceAccountUser"
    ]) == 0
    error_message = "Buckets, topics, secrets and other accounts are granted one by one, never for the whole project."
  }

  assert {
    condition     = sort(keys(google_service_account.this)) == tolist(["airflow", "launcher", "mlflow", "worker"])
    error_message = "One account for each part."
  }
}

run "who_acts_as_whom" {
  command = plan

  assert {
    condition     = sort(keys(google_service_account_iam_member.acts_as)) == tolist(["airflow-launcher", "airflow-worker", "launcher-worker"])
    error_message = "Airflow starts launchers and workers, a launcher starts workers; nobody acts as Airflow or MLflow."
  }
}

run "names_fit" {
  command = plan

  variables {
    prefix = "modelfleet-of-a-long-name"
  }

  expect_failures = [var.prefix]
}
