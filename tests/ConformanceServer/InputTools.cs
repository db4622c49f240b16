using System.ComponentModel;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>Tools that need something of the client first: they end with what they need, and are called again with the answers.</summary>
[McpServerToolType]
internal sealed class InputTools(SealedState states)
{
    [McpServerTool(Name = "test_input_required_result_elicitation", ReadOnly = true), Description("Asks for a name.")]
    public static string Elicitation(RequestContext<CallToolRequestParams> call) =>
        $"Hello, {Answers.Text(call.Params, "user_name", "name") ?? throw Needs(("user_name", Ask.Text("What is your name?", "name")))}!";

    [McpServerTool(Name = "test_input_required_result_sampling", ReadOnly = true), Description("Asks the client's model.")]
    public static string Sampling(RequestContext<CallToolRequestParams> call) =>
        Answers.Sampled(call.Params, "capital_question") ?? throw Needs(("capital_question", Ask.Model("What is the capital of France?", 100)));

    [McpServerTool(Name = "test_input_required_result_list_roots", ReadOnly = true), Description("Asks for the client's roots.")]
    public static string Roots(RequestContext<CallToolRequestParams> call) =>
        Answers.Roots(call.Params, "client_roots") ?? throw Needs(("client_roots", Ask.Roots));

    [McpServerTool(Name = "test_input_required_result_request_state", ReadOnly = true), Description("Asks for a confirmation and remembers that it did.")]
    public string State(RequestContext<CallToolRequestParams> call) => Confirmed(call);

    [McpServerTool(Name = "test_input_required_result_tampered_state", ReadOnly = true), Description("Refuses a state it did not give out.")]
    public string TamperedState(RequestContext<CallToolRequestParams> call) => Confirmed(call);

    [McpServerTool(Name = "test_input_required_result_multiple_inputs", ReadOnly = true), Description("Asks for several things at once.")]
    public string Several(RequestContext<CallToolRequestParams> call)
    {
        if (Opened(call) is not null && Answers.Text(call.Params, "user_name", "name") is { } name && Answers.Sampled(call.Params, "greeting") is { } greeting
            && Answers.Roots(call.Params, "client_roots") is { } roots)
            return $"{name}: {greeting} ({roots})";
        throw Needs(
            states.Seal("several"), ("user_name", Ask.Text("What is your name?", "name")), ("greeting", Ask.Model("Generate a greeting", 50)), ("client_roots", Ask.Roots));
    }

    [McpServerTool(Name = "test_input_required_result_multi_round", ReadOnly = true), Description("Asks twice, one after the other.")]
    public string Rounds(RequestContext<CallToolRequestParams> call)
    {
        // The name from the first round comes back in the state.
        string? state = Opened(call);
        if (state?.StartsWith("name:", StringComparison.Ordinal) is true && Answers.Text(call.Params, "step2", "color") is { } color)
            return $"{state["name:".Length..]} likes {color}.";
        if (state is "begun" && Answers.Text(call.Params, "step1", "name") is { } name)
            throw Needs(states.Seal("name:" + name), ("step2", Ask.Text("Step 2: What is your favorite color?", "color")));
        throw Needs(states.Seal("begun"), ("step1", Ask.Text("Step 1: What is your name?", "name")));
    }

    [McpServerTool(Name = "test_input_required_result_capabilities", ReadOnly = true), Description("Asks only for what the client can do.")]
    public static string Capabilities(RequestContext<CallToolRequestParams> call)
    {
        ClientCapabilities? can = call.Server.ClientCapabilities;
        if (can?.Sampling is not null) return Answers.Sampled(call.Params, "question") ?? throw Needs(("question", Ask.Model("Say hello", 10)));
        if (can?.Elicitation is not null) return Answers.Text(call.Params, "question", "name") ?? throw Needs(("question", Ask.Text("Who are you?", "name")));
        return "The client can do neither.";
    }

    [McpServerTool(Name = "test_streaming_elicitation", ReadOnly = true), Description("Asks in its answer, never on its own.")]
    public static string Streaming(RequestContext<CallToolRequestParams> call) => Elicitation(call);

    [McpServerTool(Name = "test_missing_capability", ReadOnly = true), Description("Needs a client with a model.")]
    public static string NeedsModel(RequestContext<CallToolRequestParams> call) => call.Server.ClientCapabilities?.Sampling is not null
        ? "The client has a model." : throw new MissingRequiredClientCapabilityException(new ClientCapabilities { Sampling = new() }, "This tool needs sampling.");

    private string Confirmed(RequestContext<CallToolRequestParams> call) => Opened(call) is "asked" && Answers.Accepted(call.Params, "confirm")
        ? "state-ok" : throw Needs(states.Seal("asked"), ("confirm", Ask.Confirmation("Please confirm")));

    /// <summary>What was remembered, null in the first round. Anything that was not sealed here is an error, not a first round.</summary>
    private string? Opened(RequestContext<CallToolRequestParams> call) => call.Params?.RequestState is not { } given ? null
        : states.Open(given) ?? throw new McpProtocolException("The request state was not given out by this server.", McpErrorCode.InvalidParams);

    private static InputRequiredException Needs(params (string Key, InputRequest Request)[] requests) => Needs(null, requests);

    private static InputRequiredException Needs(string? state, params (string Key, InputRequest Request)[] requests) =>
        new(requests.ToDictionary(r => r.Key, r => r.Request, StringComparer.Ordinal), state);
}
