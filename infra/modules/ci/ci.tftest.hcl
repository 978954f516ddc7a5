mock_provider "google" {}

override_resource {
  target          = google_iam_workload_identity_pool.this
  override_during = plan
  values          = { name = "projects/123456789012/locations/global/workloadIdentityPools/modelfleet-ci" }
}

variables {
  project            = "acme-fleets-dev"
  repository         = "acme/fleets"
  owner_id           = "1234567"
  deploy_environment = "production"
  state_bucket       = "acme-terraform-state"
}

run "example" {
  command = plan

  module {
    source = "./example"
  }
}

run "only_this_repository" {
  command = plan

  assert {
    condition     = google_iam_workload_identity_pool_provider.github.attribute_condition == "assertion.repository == 'acme/fleets' && assertion.repository_owner_id == '1234567'"
    error_message = "A token of any other repository is turned away at the door."
  }
}

run "only_the_environment_deploys" {
  command = plan

  assert {
    condition     = google_service_account_iam_member.deployer.member == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/modelfleet-ci/subject/repo:acme/fleets:environment:production"
    error_message = "A run outside the environment, and so without its approval, cannot deploy."
  }
}

run "a_plan_only_looks" {
  command = plan

  assert {
    condition     = toset([for grant in google_project_iam_member.planner : grant.role]) == toset(["roles/browser", "roles/iam.securityReviewer", "roles/viewer"])
    error_message = "A pull request changes nothing."
  }

  assert {
    condition     = google_storage_bucket_iam_member.planner_state.role == "roles/storage.objectViewer"
    error_message = "A plan reads the state and does not write it."
  }
}

run "no_repository" {
  command = plan

  variables {
    repository = "fleets"
  }

  expect_failures = [var.repository]
}

run "a_name_is_no_number" {
  command = plan

  variables {
    owner_id = "acme"
  }

  expect_failures = [var.owner_id]
}

run "no_environment" {
  command = plan

  variables {
    deploy_environment = "prod'||true"
  }

  expect_failures = [var.deploy_environment]
}

run "names_fit" {
  command = plan

  variables {
    prefix = "modelfleet-of-a-long-name"
  }

  expect_failures = [var.prefix]
}
