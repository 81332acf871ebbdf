import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Data } from './data.js';
import { ItemsController, OperationsController } from './items.controller.js';
import { AddressLimitGuard, Quota } from './limits.guard.js';

@Module({
  controllers: [ItemsController, OperationsController],
  providers: [{ provide: APP_GUARD, useClass: AddressLimitGuard }],
})
export class AppModule {
  static of(data: Data, quota: number): DynamicModule {
    return {
      module: AppModule,
      providers: [
        { provide: Data, useValue: data },
        { provide: Quota, useValue: new Quota(quota) },
      ],
    };
  }
}
