using System.ComponentModel;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>Tools that change what the server offers.</summary>
[McpServerToolType]
internal sealed class ListTools(ListChanges changes)
{
    private static readonly McpServerPrompt Transient = McpServerPrompt.Create(() => "Here for a while.", new() { Name = "test_transient_prompt", Description = "Comes and goes." });

    [McpServerTool(Name = "test_transient_tool", ReadOnly = true), Description("Comes and goes.")]
    public static string Comes() => "Here for a while.";

    [McpServerTool(Name = "test_trigger_tool_change", ReadOnly = false), Description("Takes a tool away, or brings it back.")]
    public string ToolChange(McpServer server)
    {
        McpServerPrimitiveCollection<McpServerTool> tools = server.ServerOptions.ToolCollection!;
        lock (changes)
        {
            if (tools.TryGetPrimitive("test_transient_tool", out McpServerTool? here)) tools.Remove(here);
            else tools.Add(McpServerTool.Create(Comes, new() { Name = "test_transient_tool", Description = "Comes and goes.", ReadOnly = true }));
        }
        changes.Say(NotificationMethods.ToolListChangedNotification);
        return "The tools have changed.";
    }

    [McpServerTool(Name = "test_trigger_prompt_change", ReadOnly = false), Description("Takes a prompt away, or brings it back.")]
    public string PromptChange(McpServer server)
    {
        McpServerPrimitiveCollection<McpServerPrompt> prompts = server.ServerOptions.PromptCollection!;
        lock (changes)
        {
            if (!prompts.Remove(Transient)) prompts.Add(Transient);
        }
        changes.Say(NotificationMethods.PromptListChangedNotification);
        return "The prompts have changed.";
    }
}
