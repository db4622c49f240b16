using System.Text.Json;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;
using McpAuthServer.Registry;

namespace McpAuthServer.Policies;

/// <summary>What is found about a version of policies, against the tools as they are registered now. Pure.</summary>
/// <param name="Findings">Of the text; the tests are not run when it has errors.</param>
internal sealed record PolicyCheck(IReadOnlyList<Diagnostic> Findings, IReadOnlyList<PolicyTestOutcome> Tests)
{
    /// <summary>A warning of the validator that is an error here: who wrote such a policy believes that it does something.</summary>
    private const string Impossible = "impossible_policy";

    /// <summary>Whether it may decide anything: nothing in it is wrong, and its own tests pass.</summary>
    public bool Sound => Findings.All(f => f.Severity != Severity.Error) && Tests.All(t => t.Passed);

    public static PolicyCheck Of(ToolServerRecord server, string text, IReadOnlyList<PolicyTest> tests, DateTimeOffset now)
    {
        var model = CompiledRelease.Model(CompiledRelease.Tools(server));
        var parsed = PolicySet.Parse(text, PolicyIds.FromAnnotation);
        if (!parsed.TryGet(out var policies))
            return new(parsed.Diagnostics, []);
        var findings = Validator.Validate(policies, model.Schema!).Select(f => f.Code == Impossible ? f with { Severity = Severity.Error } : f).ToList();
        if (policies.Templates.Count > 0)
            findings.Add(new Diagnostic("template", "A template decides nothing, and nothing here can be linked to it.", Path: policies.Templates[0].Id));
        else if (policies.Policies.Count == 0)
            findings.Add(new Diagnostic("no_policies", "There is no policy: every call would be denied.", Help: "Suspend the tool server to stop it."));
        if (findings.Any(f => f.Severity == Severity.Error))
            return new(findings, []);
        var authorizer = new ToolCallAuthorizer(policies, model);
        return new(findings, [.. tests.Select(t => t.Run(authorizer, server.Resource, now))]);
    }

    /// <summary>The tests as they were sent; the fault of the first that is none.</summary>
    public static (IReadOnlyList<PolicyTest> Tests, string? Fault) ReadTests(JsonElement? json)
    {
        if (json is not { } given)
            return ([], null);
        try
        {
            var tests = given.Deserialize(PolicyJson.Default.IReadOnlyListPolicyTest) ?? [];
            for (var i = 0; i < tests.Count; i++)
                if (tests[i]?.Fault() is var fault && (fault is not null || tests[i] is null))
                    return ([], $"tests[{i}]: {fault ?? "it is null."}");
            return (tests, null);
        }
        catch (JsonException e)
        {
            return ([], $"tests{e.Path?.TrimStart('$')}: it has not the form of a test.");
        }
    }
}
