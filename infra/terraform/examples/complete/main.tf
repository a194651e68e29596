# firnline lifecycle print --folder ../../../../pipelines > lifecycle.json

provider "aws" {
  region = "eu-central-1"
}

module "archive" {
  source = "../.."

  bucket         = "acme-audit"
  prefix         = "firnline"
  lifecycle_file = "${path.module}/lifecycle.json"
  # billing-events.yaml and list-item-events.yaml let records expire.
  runs_delete = true

  # Terraform owns all rules of a bucket, so what is not the archive's has to be said here.
  other_lifecycle_rules = [
    {
      ID         = "exports"
      Status     = "Enabled"
      Filter     = { Prefix = "exports/" }
      Expiration = { Days = 30 }
    },
  ]

  tags = { purpose = "audit" }
}

# Whoever runs `firnline run` at night.
resource "aws_iam_role" "exporter" {
  name               = "firnline-exporter"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy_attachment" "exporter" {
  role       = aws_iam_role.exporter.name
  policy_arn = module.archive.policy_arns["exporter"]
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

output "archive_url" {
  value = module.archive.archive_url
}
