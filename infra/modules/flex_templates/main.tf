locals {
  # The options of the launchers in beam_jobs, by the names that they have on the command line
  jobs = {
    prepare = {
      description = "Typed Parquet per shard, a profile, bad rows with their reasons"
      streaming   = false
      parameters  = { run = "Folder of the run" }
      optional    = {}
    }
    train = {
      description = "One model per entity, with its evaluation beside the champion"
      streaming   = false
      parameters  = { run = "Folder of the run" }
      optional    = {}
    }
    score = {
      description = "Predictions for a whole file"
      streaming   = false
      parameters = {
        fleet_home = "Folder of the fleet"
        spec       = "The spec as JSON"
        input      = "A file, a glob or a folder: CSV, JSONL or Parquet"
        output     = "A Parquet file"
      }
      optional = { generation = "Which release predicts; the newest if left out" }
    }
    serve = {
      description = "Answers requests, and swaps models as they are released"
      streaming   = true
      parameters = {
        fleet = "Name of the fleet"
        spec  = "The spec as JSON"
        home  = "The home folder of all fleets"
      }
      optional = {}
    }
  }
}

# What `gcloud dataflow flex-template build` writes. Nothing is launched here: a job comes and goes, and Terraform would
# start it anew whenever it has ended.
resource "google_storage_bucket_object" "template" {
  for_each = var.images

  bucket       = var.bucket
  name         = "modelfleet/${var.revision}/${each.key}.json"
  content_type = "application/json"

  content = jsonencode({
    image   = each.value
    sdkInfo = { language = "PYTHON" }
    metadata = {
      name        = "modelfleet ${each.key}"
      description = local.jobs[each.key].description
      streaming   = local.jobs[each.key].streaming
      parameters = concat(
        [for name, help in local.jobs[each.key].parameters : { name = name, label = name, helpText = help, isOptional = false }],
        [for name, help in local.jobs[each.key].optional : { name = name, label = name, helpText = help, isOptional = true }],
      )
    }
    defaultEnvironment = {
      serviceAccountEmail   = var.launcher
      subnetwork            = var.subnetwork
      ipConfiguration       = "WORKER_IP_PRIVATE"
      sdkContainerImage     = var.worker_image
      machineType           = var.machine_type
      maxWorkers            = var.max_workers
      stagingLocation       = "${var.staging}/staging"
      tempLocation          = "${var.staging}/temp"
      enableStreamingEngine = local.jobs[each.key].streaming
    }
  })
}
