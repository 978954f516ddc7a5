module "budget" {
  source = "../../budget"

  project_number  = "123456789012"
  billing_account = "012345-6789AB-CDEF01"
  amount          = 800
}
