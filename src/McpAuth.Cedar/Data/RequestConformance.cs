using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>Whether a request is one that a schema knows: the action, who may ask for it of what, and its context.</summary>
internal sealed class RequestConformance(CedarSchema schema, JsonTrail trail, DataFindings findings)
{
    private readonly ReportedConformance values = new(schema, trail, findings);

    public void Check(Request request)
    {
        ActionDeclaration? action = CheckAction(request.Action);
        CheckParty("principal", request.Principal, action?.Principals);
        CheckParty("resource", request.Resource, action?.Resources);
        if (action is null) return;
        trail.Enter("context");
        CheckContext(request.Context, action);
        trail.Leave();
    }

    public void CheckContext(CedarRecord context, ActionDeclaration action) => values.Check(context, action.Context);

    /// <summary>The declaration; null where there is none, which is reported.</summary>
    public ActionDeclaration? CheckAction(EntityUid uid)
    {
        if (schema.Actions.TryGetValue(uid, out ActionDeclaration? action)) return action;
        trail.Enter("action");
        findings.Error("unknown_action", $"The schema has no action {uid}.", trail.ToString(), NearMiss.Help(uid.ToString(), schema.Actions.Keys.Select(a => a.ToString())));
        trail.Leave();
        return null;
    }

    private void CheckParty(string name, EntityUid uid, IReadOnlySet<string>? allowed)
    {
        trail.Enter(name);
        if (!schema.EntityTypes.ContainsKey(uid.Type))
            findings.Error("unknown_entity_type", $"The schema has no entity type {uid.Type}.", trail.ToString(), NearMiss.Help(uid.Type, schema.EntityTypes.Keys));
        else if (allowed is not null && !allowed.Contains(uid.Type))
            findings.Error($"wrong_{name}_type", $"By the schema, the action does not apply to a {name} of type {uid.Type}.", trail.ToString());
        else
            values.CheckUid(uid);
        trail.Leave();
    }
}
