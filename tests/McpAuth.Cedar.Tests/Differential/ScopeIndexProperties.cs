using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

public class ScopeIndexProperties
{
    /// <summary>The index leaves out policies, and groups decide several at once; neither may be seen in an answer.</summary>
    [Fact]
    public void Index_AnySetAndRequest_AnswersAsALoopOverAllPolicies()
    {
        int first = Environment.TickCount & 0xFFFFFFF, decisions = 0, satisfied = 0;
        if (int.TryParse(Environment.GetEnvironmentVariable("MCPAUTH_SEED"), out int given)) first = given;
        for (int seed = first; seed < first + 150; seed++)
        {
            Case @case = CaseMaker.Make(seed, policies: seed % 3 == 0 ? 120 : 30, requests: 12);
            Parsed<PolicySet> policies = Comparison.Policies(@case);
            Parsed<EntityStore> entities = EntityStore.ParseJson(Encoding.UTF8.GetBytes(@case.EntitiesJson));
            if (!policies.Ok || !entities.Ok) continue;
            Authorizer authorizer = Authorizer.CedarCompatible(policies.Value);
            (Policy Policy, Authorizer Conditions)[] alone = [.. policies.Value.Policies.Select(p => (p, Authorizer.CedarCompatible(new([WithoutScope(p)]))))];
            foreach (CaseRequest asked in @case.Requests)
            {
                if (Request.ParseJson(Encoding.UTF8.GetBytes(asked.Json)) is not { Ok: true, Value: { } request }) continue;
                List<string> permits = [], forbids = [], errors = [];
                foreach ((Policy policy, Authorizer conditions) in alone)
                {
                    if (!Applies(policy, request, entities.Value)) continue;
                    AuthorizationResponse answer = conditions.Authorize(request, entities.Value);
                    if (answer.Errors.Count > 0) errors.Add(policy.Id);
                    else if (answer.Decision == Decision.Allow) (policy.Effect == Effect.Permit ? permits : forbids).Add(policy.Id);
                }
                AuthorizationResponse response = authorizer.Authorize(request, entities.Value);
                bool allow = permits.Count > 0 && forbids.Count == 0;
                string expected = $"{allow} {string.Join(' ', allow ? permits : forbids)} / {string.Join(' ', errors)}";
                string found = $"{response.Decision == Decision.Allow} {string.Join(' ', response.Reasons)} / {string.Join(' ', response.Errors.Select(e => e.PolicyId))}";
                Assert.True(expected == found, $"MCPAUTH_SEED={seed}: the loop says {expected}, the index {found}\n{asked.Json}\n{@case.PoliciesText}");
                decisions++;
                satisfied += permits.Count + forbids.Count;
            }
        }
        Assert.True(decisions > 500 && satisfied > decisions, $"{decisions} decisions, {satisfied} satisfied policies: the cases prove little");
    }

    /// <summary>A permit of the same conditions for everyone.</summary>
    private static Policy WithoutScope(Policy policy) =>
        new(policy.Id, policy.Body with { Effect = Effect.Permit, Principal = EntityScope.Any, Action = ActionScope.Any, Resource = EntityScope.Any });

    private static bool Applies(Policy policy, Request request, EntityStore entities) =>
        Applies(policy.Body.Principal, request.Principal, entities) && Applies(policy.Body.Resource, request.Resource, entities) && policy.Body.Action.Kind switch
        {
            ScopeKind.Any => true,
            ScopeKind.Equal => policy.Body.Action.Actions[0].Equals(request.Action),
            _ => policy.Body.Action.Actions.Any(a => IsIn(request.Action, a, entities)),
        };

    private static bool Applies(EntityScope scope, EntityUid uid, EntityStore entities) =>
        (scope.Type is null || scope.Type == uid.Type) &&
        (scope.Entity is null || (scope.Kind == ScopeKind.Equal ? uid.Equals(scope.Entity) : IsIn(uid, scope.Entity, entities)));

    /// <summary>By the parents alone, step by step.</summary>
    private static bool IsIn(EntityUid uid, EntityUid above, EntityStore entities) =>
        uid.Equals(above) || (entities.Find(uid)?.Parents.Any(p => IsIn(p, above, entities)) ?? false);
}
