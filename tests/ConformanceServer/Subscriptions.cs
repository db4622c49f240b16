using System.Text.Json.Nodes;
using System.Threading.Channels;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary><c>subscriptions/listen</c> (MCP 2026-07-28) of a stateless server: the open answer is the only channel there is.</summary>
internal static class Subscriptions
{
    public static async ValueTask<EmptyResult> HandleAsync(RequestContext<SubscriptionsListenRequestParams> request, CancellationToken cancellationToken)
    {
        SubscriptionsListenNotifications wanted = request.Params?.Notifications ?? new();
        // Resources here never change, so nothing is promised about them.
        var granted = new SubscriptionsListenNotifications { ToolsListChanged = wanted.ToolsListChanged, PromptsListChanged = wanted.PromptsListChanged };
        using IDisposable listening = request.Services!.GetRequiredService<ListChanges>().Listen(out ChannelReader<string> changes);
        await SendAsync(
            request, NotificationMethods.SubscriptionsAcknowledgedNotification,
            (JsonObject)System.Text.Json.JsonSerializer.SerializeToNode(new SubscriptionsAcknowledgedNotificationParams { Notifications = granted }, McpJsonUtilities.DefaultOptions)!, cancellationToken);
        await foreach (string change in changes.ReadAllAsync(cancellationToken))
        {
            if (change == NotificationMethods.ToolListChangedNotification ? granted.ToolsListChanged is true : granted.PromptsListChanged is true)
                await SendAsync(request, change, [], cancellationToken);
        }
        return new EmptyResult();
    }

    private static Task SendAsync(RequestContext<SubscriptionsListenRequestParams> request, string method, JsonObject parameters, CancellationToken cancellationToken)
    {
        // Every message names the subscription it belongs to.
        parameters["_meta"] = new JsonObject { [MetaKeys.SubscriptionId] = request.JsonRpcRequest.Id.ToString() };
        return request.Server.SendMessageAsync(new JsonRpcNotification { Method = method, Params = parameters }, cancellationToken);
    }
}
