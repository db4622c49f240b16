using System.Buffers;
using System.Text.Json;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// Decides tool calls by one policy set. Of a call's arguments only what the policies of that tool read is looked at, and that exactly or not at all: what has
/// no exact value of its type, is missing where it must be, or stands twice denies the call. Immutable, for any number of threads; to change policies or tools,
/// make another one and replace the reference.
/// </summary>
public sealed class ToolCallAuthorizer
{
    private readonly PolicySet policies;
    private readonly ToolServerModel model;
    private readonly Authorizer authorizer;
    private readonly Dictionary<string, ToolView> views;
    private readonly JsonText texts;
    private readonly string? prefix;

    /// <param name="policies">Should have been validated by the model's schema.</param>
    public ToolCallAuthorizer(PolicySet policies, ToolServerModel model, AuthorizationMode mode = AuthorizationMode.Strict)
    {
        ArgumentNullException.ThrowIfNull(policies);
        ArgumentNullException.ThrowIfNull(model);
        this.policies = policies;
        this.model = model;
        prefix = model.Layout.Input is null ? model.Layout.Prefix : null;
        authorizer = new(policies, null, mode, prefix);
        texts = new(authorizer.Names.Keys);
        var reads = new ReadsOfActions(authorizer.Groups);
        views = model.Bindings.ToDictionary(b => b.Name, b => ToolView.Of(b, model.Layout, authorizer.Paths, reads.Of(b.Action)), StringComparer.Ordinal);
    }

    public AuthorizationMode Mode => authorizer.Mode;

    public ToolServerModel Model => model;

    /// <summary>Decides into a response, which may have been used before: then a decision allocates nothing but sets and records.</summary>
    /// <param name="entities">Need not hold the actions.</param>
    public Decision Authorize(in ToolCall call, EntityStore entities, AuthorizationResponse response)
    {
        ArgumentNullException.ThrowIfNull(entities);
        ArgumentNullException.ThrowIfNull(response);
        Span<Slot> slots = response.Slots(authorizer.Paths.Count);
        try
        {
            Decide(call, entities, response, new(texts, response.Passing), slots, out _);
        }
        finally
        {
            slots.Clear();
            response.Passing.Clear();
        }
        return response.Decision;
    }

    /// <summary>
    /// Whether some arguments, or a person's approval, could make a call an Allow: what a list may show, and a token be issued for. What is asked here says no
    /// only where every call would be denied; where the policies read the whole context or session, it says yes.
    /// </summary>
    /// <param name="call">Its arguments are not looked at.</param>
    public bool MayAllow(in ToolCall call, EntityStore entities) => Foresee(call, entities, withArguments: false);

    /// <summary>Whether a person's approval could make this call, with its arguments, an Allow.</summary>
    public bool MayAllowApproved(in ToolCall call, EntityStore entities) => Foresee(call, entities, withArguments: true);

    private bool Foresee(in ToolCall call, EntityStore entities, bool withArguments)
    {
        ArgumentNullException.ThrowIfNull(entities);
        CedarRecord session = call.Session ?? CedarRecord.Empty;
        if (!views.TryGetValue(call.Tool, out ToolView? view) || CheckParties(call, view.Tool) is not null || CheckSession(session) is not null) return false;
        var response = new AuthorizationResponse();
        Span<Slot> slots = response.Slots(authorizer.Paths.Count);
        CedarRecord? context = model.Layout.Session is null ? session : CedarRecord.Empty;
        if (withArguments && view.Fill(call.Arguments, session, new(texts), slots, out context) is not null) return false;
        if (!view.Foresee(session, slots, withArguments)) return true;
        var frame = new Frame(call.Principal, view.Tool.Action.Uid, view.Tool.Resource ?? call.Resource!, context, entities, authorizer.Paths, slots, model.Entities);
        authorizer.Decide(ref frame, response);
        return response.MayAllow(Mode);
    }

    /// <summary>
    /// The arguments without what no policy of the tool reads, as a JSON object: a call with them is decided as the whole call was. What is only asked to be
    /// there stands without its value.
    /// </summary>
    /// <param name="arguments">As <see cref="Authorize"/> took them: they were JSON.</param>
    /// <exception cref="JsonException">They are no JSON.</exception>
    public void CopyRead(string tool, ReadOnlySpan<byte> arguments, IBufferWriter<byte> to)
    {
        ArgumentNullException.ThrowIfNull(tool);
        ArgumentNullException.ThrowIfNull(to);
        using var json = new Utf8JsonWriter(to, new JsonWriterOptions { SkipValidation = true });
        if (views.TryGetValue(tool, out ToolView? view)) view.CopyRead(arguments, json);
        else json.WriteRawValue("{}"u8);
    }

    /// <summary>
    /// Decides, and says what each policy and each part of its conditions came to; of the arguments, it knows those that are read. For people: it takes a
    /// thousand times as long.
    /// </summary>
    public Explanation Explain(in ToolCall call, EntityStore entities)
    {
        ArgumentNullException.ThrowIfNull(entities);
        var response = new AuthorizationResponse();
        var slots = new Slot[authorizer.Paths.Count];
        Request? request = Decide(call, entities, response, new(texts), slots, out CedarRecord? context) is { } view
            ? new(call.Principal, view.Tool.Action.Uid, view.Tool.Resource ?? call.Resource!, view.Context(call.Session ?? CedarRecord.Empty, slots, context!))
            : null;
        return new(response, request is null ? [] : [.. policies.Policies.Select(p => new Tracer(prefix).Trace(p, request, entities, model.Entities))]);
    }

    /// <returns>Null when it was refused without a look at the policies.</returns>
    private ToolView? Decide(in ToolCall call, EntityStore entities, AuthorizationResponse response, ArgumentTexts read, Span<Slot> slots, out CedarRecord? context)
    {
        response.Begin();
        context = null;
        CedarRecord session = call.Session ?? CedarRecord.Empty;
        string? fault = !views.TryGetValue(call.Tool, out ToolView? view)
            ? "the tool is not one of this tool server"
            : CheckParties(call, view.Tool) ?? CheckSession(session) ?? view.Fill(call.Arguments, session, read, slots, out context);
        if (fault is not null)
        {
            response.Refuse(fault);
            return null;
        }
        ToolBinding tool = view!.Tool;
        var frame = new Frame(call.Principal, tool.Action.Uid, tool.Resource ?? call.Resource!, context!, entities, authorizer.Paths, slots, model.Entities);
        authorizer.Decide(ref frame, response);
        if (model.Layout.FailureDenies) response.DenyFailed();
        return view;
    }

    private string? CheckParties(in ToolCall call, ToolBinding tool)
    {
        if (tool.Resource is null && call.Resource is null) return "the call names no resource";
        if (tool.Resource is { } own && call.Resource is { } named && !own.Equals(named)) return "the resource is not the tool";
        if (Mode != AuthorizationMode.Strict) return null;
        if (!Contains(tool.Principals, call.Principal.Type)) return $"the principal is not of a type that may call `{tool.Name}`";
        if (call.Resource is { } resource && !Contains(tool.Resources, resource.Type)) return $"the resource is not of a type that `{tool.Name}` is called at";
        return null;
    }

    private string? CheckSession(CedarRecord session) =>
        Mode == AuthorizationMode.Strict && model is { Schema: { } schema, Layout.SessionType: { } type } && !schema.Conforms(session, type)
            ? schema.Fault(session, type, "session")
            : null;

    private static bool Contains(string[] types, string type)
    {
        foreach (string one in types)
            if (one == type) return true;
        return false;
    }
}
