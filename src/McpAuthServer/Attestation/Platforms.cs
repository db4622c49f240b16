using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Attestation;

/// <summary>A kind whose tokens carry what identifies a program as claims of the token itself.</summary>
internal abstract class FlatWorkload(string name, string[] required, string[] optional) : WorkloadKind
{
    public override string Name => name;
    public override IReadOnlyList<string> Required => required;
    protected override IReadOnlyList<string> Optional => optional;

    public override Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token)
    {
        var facts = new Dictionary<string, string>(StringComparer.Ordinal);
        Add(facts, token.Payload, required.Concat(optional).Append(Subject).Distinct().Select(n => (n, n)));
        return Array.Find(required, n => !facts.ContainsKey(n)) is { } missing ? Lacks(missing) : facts;
    }
}

/// <summary>A kind whose issuers are not known beforehand: <c>sub</c>, and whatever else their tokens say at the top.</summary>
internal abstract class OpenWorkload(string name) : FlatWorkload(name, [Subject], [])
{
    private static readonly string[] NotOfPrograms =
        [Names.Claims.Iss, Names.Claims.Aud, Names.Claims.Exp, Names.Claims.Nbf, Names.Claims.Iat, Names.Claims.Jti];

    public override Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token)
    {
        var facts = new Dictionary<string, string>(StringComparer.Ordinal);
        Add(facts, token.Payload, token.Payload.EnumerateObject().Select(c => c.Name).Where(n => n == Subject || IsFurther(n)).Select(n => (n, n)));
        return facts.ContainsKey(Subject) ? facts : Lacks(Subject);
    }

    protected override bool IsFurther(string selector) => !NotOfPrograms.Contains(selector);
}

/// <summary>Any OpenID Connect issuer.</summary>
internal sealed class OidcWorkload() : OpenWorkload("oidc");

/// <summary>A client attester: its <c>sub</c> is the client's id, and it vouches for the key that the program holds.</summary>
internal sealed class AttesterWorkload() : OpenWorkload(KindName)
{
    public const string KindName = "attester";

    public override Told Told => Told.ByClient;
}

/// <summary>A projected service account token of a Kubernetes cluster. The account's uid is of this one account; its name may be given again.</summary>
internal sealed class KubernetesWorkload : WorkloadKind
{
    private const string Uid = "service_account_uid", Namespace = "namespace", Account = "service_account", Pod = "pod", PodUid = "pod_uid";

    public override string Name => "kubernetes";
    public override IReadOnlyList<string> Required => [Uid];
    protected override IReadOnlyList<string> Optional => [Namespace, Account, Pod, PodUid, Subject];

    public override Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token)
    {
        var facts = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!token.Payload.TryGetProperty("kubernetes.io", out var cluster) || cluster.ValueKind != JsonValueKind.Object)
            return Lacks("kubernetes.io");
        Add(facts, cluster, [(Namespace, "namespace")]);
        if (cluster.TryGetProperty("serviceaccount", out var account))
            Add(facts, account, [(Account, "name"), (Uid, "uid")]);
        if (cluster.TryGetProperty("pod", out var pod))
            Add(facts, pod, [(Pod, "name"), (PodUid, "uid")]);
        Add(facts, token.Payload, [(Subject, Subject)]);
        foreach (var needed in new[] { Namespace, Account, Uid })
            if (!facts.ContainsKey(needed))
                return Lacks($"the {needed}");
        // The same is said twice; a token that disagrees with itself is none of a cluster's.
        return facts.GetValueOrDefault(Subject) == $"system:serviceaccount:{facts[Namespace]}:{facts[Account]}"
            ? facts
            : new Fault(Names.Reasons.Malformed, "sub is not the service account that kubernetes.io names.");
    }
}

/// <summary>
/// A GitHub Actions job. Repositories and owners are told by their numbers: their names can be given up and taken by somebody else. The workflow that runs
/// is part of who the program is: whoever may push a branch may write another.
/// </summary>
internal sealed class GitHubWorkload() : FlatWorkload(
    "github", ["repository_id", "repository_owner_id", "job_workflow_ref"],
    [Subject, "repository", "repository_owner", "environment", "ref", "ref_type", "event_name", "workflow_ref", "runner_environment", "actor_id"]);

/// <summary>A service account of Google Cloud, by its number; on a virtual machine also which one.</summary>
internal sealed class GcpWorkload : WorkloadKind
{
    private static readonly string[] Machine = ["project_id", "project_number", "zone", "instance_id", "instance_name"];

    public override string Name => "gcp";
    public override IReadOnlyList<string> Required => [Subject];
    protected override IReadOnlyList<string> Optional => [.. Machine, "email", "azp"];

    public override Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token)
    {
        var facts = new Dictionary<string, string>(StringComparer.Ordinal);
        Add(facts, token.Payload, [(Subject, Subject), ("azp", "azp")]);
        // An address that nobody has verified is what somebody typed.
        if (token.Payload.TryGetProperty("email_verified", out var verified) && verified.ValueKind == JsonValueKind.True)
            Add(facts, token.Payload, [("email", "email")]);
        if (token.Payload.TryGetProperty("google", out var google) && google.ValueKind == JsonValueKind.Object && google.TryGetProperty("compute_engine", out var machine))
            Add(facts, machine, Machine.Select(n => (n, n)));
        return facts.ContainsKey(Subject) ? facts : Lacks(Subject);
    }
}

/// <summary>A managed identity or service principal of Microsoft Entra ID: its object in its tenant; <c>xms_mirid</c> is the machine's or identity's resource.</summary>
internal sealed class AzureWorkload() : FlatWorkload("azure", ["oid", "tid"], [Subject, "appid", "azp", "xms_mirid", "idtyp"]);

/// <summary>A role of AWS, as its security token service says it; the claims of its own stand under its address.</summary>
internal sealed class AwsWorkload : WorkloadKind
{
    private const string Own = "https://sts.amazonaws.com/";

    private static readonly string[] Session = ["aws_account", "org_id", "source_region", "principal_id", "ec2_instance_source_vpc", "lambda_source_function_arn"];

    public override string Name => "aws";
    public override IReadOnlyList<string> Required => [Subject];
    protected override IReadOnlyList<string> Optional => Session;

    public override Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token)
    {
        var facts = new Dictionary<string, string>(StringComparer.Ordinal);
        Add(facts, token.Payload, [(Subject, Subject)]);
        if (token.Payload.TryGetProperty(Own, out var own))
            Add(facts, own, Session.Select(n => (n, n)));
        return !facts.TryGetValue(Subject, out var role) ? Lacks(Subject)
            : role.StartsWith("arn:", StringComparison.Ordinal) ? facts
            : new Fault(Names.Reasons.Malformed, "sub is not the name of a role.");
    }
}

/// <summary>A workload of a SPIFFE trust domain (JWT-SVID). Its issuer is the trust domain that its id names, never <c>iss</c>.</summary>
internal sealed class SpiffeWorkload : WorkloadKind
{
    public const string Id = "spiffe_id", KindName = "spiffe";

    public override string Name => KindName;
    public override IReadOnlyList<string> Required => [Id];
    protected override IReadOnlyList<string> Optional => [];
    public override Told Told => Told.ByTrustDomain;

    public override Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token) =>
        token.Text(Subject) is { } id && SpiffeId.TrustDomainOf(id) is not null
            ? new Dictionary<string, string>(StringComparer.Ordinal) { [Id] = id }
            : new Fault(Names.Reasons.Malformed, "sub is no SPIFFE id of a workload.");
}
