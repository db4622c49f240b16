using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// Decides requests by one policy set. A pure function of policies, entities and request; immutable, for any number of threads. To change policies,
/// make another one and replace the reference.
/// </summary>
public sealed class Authorizer
{
    private readonly PolicySet policies;
    private readonly CedarSchema? schema;
    private readonly ScopeIndex index;
    private readonly string[] ids;

    /// <param name="schema">What each request is checked against; null when whoever asks has done that.</param>
    internal Authorizer(PolicySet policies, CedarSchema? schema, AuthorizationMode mode, string? argumentPrefix = null)
    {
        this.policies = policies;
        this.schema = schema;
        Mode = mode;
        var compiler = new Compiler(argumentPrefix);
        Groups = PolicyGroups.Of(policies.Policies, compiler);
        Paths = compiler.Paths;
        Names = compiler.Names;
        index = ScopeIndex.Build(Groups);
        ids = [.. policies.Policies.Select(p => p.Id)];
    }

    public AuthorizationMode Mode { get; }

    internal ContextPaths Paths { get; }

    internal IReadOnlyDictionary<string, string> Names { get; }

    internal IReadOnlyList<PolicyGroup> Groups { get; }

    /// <summary>An authorizer that behaves as the language says (<see cref="AuthorizationMode.CedarCompatible"/>).</summary>
    public static Authorizer CedarCompatible(PolicySet policies) => new(policies, null, AuthorizationMode.CedarCompatible);

    /// <summary>An authorizer that fails closed (<see cref="AuthorizationMode.Strict"/>). Policies should have been validated by the same schema.</summary>
    public static Authorizer Strict(PolicySet policies, CedarSchema schema) => new(policies, schema, AuthorizationMode.Strict);

    /// <summary>Decides.</summary>
    public AuthorizationResponse Authorize(Request request, EntityStore entities)
    {
        var response = new AuthorizationResponse();
        Authorize(request, entities, response);
        return response;
    }

    /// <summary>Decides into a response used before, which allocates nothing.</summary>
    public Decision Authorize(Request request, EntityStore entities, AuthorizationResponse response)
    {
        response.Begin();
        if (schema is not null && schema.FaultOf(request) is { } fault)
        {
            response.Refuse(fault);
            return Decision.Deny;
        }
        Span<Slot> slots = response.Slots(Paths.Count);
        var frame = new Frame(request.Principal, request.Action, request.Resource, request.Context, entities, Paths, slots);
        try
        {
            Decide(ref frame, response);
        }
        finally
        {
            slots.Clear();
        }
        return response.Decision;
    }

    /// <summary>Decides, and says what each policy and each part of its conditions came to. For people: it takes a thousand times as long.</summary>
    public Explanation Explain(Request request, EntityStore entities)
    {
        AuthorizationResponse response = Authorize(request, entities);
        if (response.Cause == DenialCause.RequestInvalid) return new(response, []);
        return new(response, [.. policies.Policies.Select(p => new Tracer().Trace(p, request, entities))]);
    }

    /// <summary>Decides what stands in the frame; slots may have been filled.</summary>
    internal void Decide(ref Frame frame, AuthorizationResponse response)
    {
        index.Decide(ref frame, response);
        response.Conclude(ids, Mode);
    }
}
