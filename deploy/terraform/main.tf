# The RAM role that shenscan's pods assume by RRSA, and the policy that is
# everything it needs. In each other account that it reads, the same policy on a
# role that trusts the account of this one: variable trusted_account.
#
#   terraform init && terraform apply -var oidc_provider_arn=… -var oidc_issuer=…
terraform {
  required_version = ">= 1.5"
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.252.0"
    }
  }
}

variable "name" {
  description = "Name of the role and of the policy."
  type        = string
  default     = "shenscan"
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's OIDC provider (acs:ram::ACCOUNT:oidc-provider/ack-rrsa-CLUSTER); empty in an account that another one reads."
  type        = string
  default     = ""
}

variable "oidc_issuer" {
  description = "URL of the cluster's OIDC issuer."
  type        = string
  default     = ""
}

variable "service_account" {
  description = "Namespace and name of the pods' ServiceAccount."
  type        = string
  default     = "shenscan:shenscan"
}

variable "trusted_account" {
  description = "Id of the account whose role may assume this one, where this account is one of several; empty where the pods assume it."
  type        = string
  default     = ""
}

variable "member_roles" {
  description = "ARNs of the roles in other accounts that shenscan assumes."
  type        = list(string)
  default     = []
}

locals {
  from_pods = jsonencode({
    Version = "1"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Federated = [var.oidc_provider_arn] }
      Condition = {
        StringEquals = {
          "oidc:aud" = "sts.aliyuncs.com"
          "oidc:iss" = var.oidc_issuer
          "oidc:sub" = "system:serviceaccount:${var.service_account}"
        }
      }
    }]
  })
  from_account = jsonencode({
    Version = "1"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { RAM = ["acs:ram::${var.trusted_account}:root"] }
    }]
  })
}

resource "alicloud_ram_policy" "read" {
  policy_name     = var.name
  description     = "What shenscan reads of ECS."
  policy_document = file("${path.module}/../ram-policy.json")
}

resource "alicloud_ram_role" "shenscan" {
  role_name                   = var.name
  description                 = "Assumed by shenscan."
  assume_role_policy_document = var.trusted_account == "" ? local.from_pods : local.from_account

  lifecycle {
    precondition {
      condition     = (var.oidc_provider_arn != "") != (var.trusted_account != "")
      error_message = "Give either oidc_provider_arn and oidc_issuer, or trusted_account."
    }
  }
}

resource "alicloud_ram_role_policy_attachment" "read" {
  policy_name = alicloud_ram_policy.read.policy_name
  policy_type = alicloud_ram_policy.read.type
  role_name   = alicloud_ram_role.shenscan.role_name
}

# Assuming the roles of other accounts is all that is needed there.
resource "alicloud_ram_policy" "assume" {
  count       = length(var.member_roles) > 0 ? 1 : 0
  policy_name = "${var.name}-assume"
  policy_document = jsonencode({
    Version   = "1"
    Statement = [{ Action = "sts:AssumeRole", Effect = "Allow", Resource = var.member_roles }]
  })
}

resource "alicloud_ram_role_policy_attachment" "assume" {
  count       = length(var.member_roles) > 0 ? 1 : 0
  policy_name = alicloud_ram_policy.assume[0].policy_name
  policy_type = alicloud_ram_policy.assume[0].type
  role_name   = alicloud_ram_role.shenscan.role_name
}

output "role_arn" {
  description = "For role_arn in shenscan.yaml, or cloud.rrsaRole of the chart (its name)."
  value       = alicloud_ram_role.shenscan.arn
}
